"""`kobune options`: what every command takes besides its own options."""

import click

from kobune.cli.options import SHARED
from kobune.cli.verb import verb

__all__ = ["options"]


@verb(
    "options",
    ("Another cluster, in the name of somebody else", "kobune --context lab --as mary start demo"),
    ("What is asked and answered", "kobune start demo -v 6"),
    shows={},
)
def options() -> None:
    """List the options that every command takes.

    They are kubectl's, and stand before the command or after it.
    """
    rows = []
    for option in SHARED:
        rows.append((", ".join(option.flags) + ("" if option.is_flag else f" {option.word}"), option.help))
    formatter = click.HelpFormatter(width=100)
    formatter.write_dl(rows)
    click.echo(formatter.getvalue(), nl=False)
