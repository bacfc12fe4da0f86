"""How a verb is declared: its options as virtctl takes them, kubectl's beside them, and examples below its help."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from kobune.cli.options import EVERYDAY, shared_options, take, tidied

__all__ = ["Verb", "VerbGroup", "choice", "dry_run_option", "examples", "verb"]

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
MORE = "`kobune options` lists the options that every command takes."


class Verb(click.Command):
    """Takes kubectl's options; `shows` has the help of those that are in the verb's own."""

    def __init__(self, *args: Any, shows: Mapping[str, str] = EVERYDAY, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params += shared_options(self.params, shows)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words as kubectl would."""
        return super().parse_args(ctx, tidied(self.get_params(ctx), args, interspersed=True))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb without the options that are not its own."""
        take(ctx)
        return super().invoke(ctx)


class VerbGroup(click.Group):
    """Takes kubectl's options before the verb, as kubectl does."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params += shared_options(self.params, {})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words before the verb as kubectl would."""
        return super().parse_args(ctx, tidied(self.get_params(ctx), args, interspersed=False))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; what was given here is its default."""
        take(ctx)
        return super().invoke(ctx)


def examples(*pairs: tuple[str, str]) -> str:
    """An epilog of (what it does, command line) pairs, kept line by line."""
    lines = ["\b", "Examples:"]
    for what, line in pairs:
        lines += [f"  # {what}", f"  {line}"]
    return "\n".join(lines)


def choice(*words: str) -> dict[str, Any]:
    """What `click.option` needs for one of these words in any case; the help has them as they are written."""
    return {"type": click.Choice(words, case_sensitive=False), "metavar": f"[{'|'.join(words)}]"}


def verb(
    name: str, *pairs: tuple[str, str], cls: type[Verb] = Verb, shows: Mapping[str, str] = EVERYDAY
) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a command with examples; its docstring is its help."""
    epilog = examples(*pairs) + (f"\n\n{MORE}" if shows is EVERYDAY else "")

    def declare(function: Callable[..., Any]) -> click.Command:
        return click.command(name, cls=cls, epilog=epilog, context_settings=CONTEXT, shows=shows)(function)

    return declare


dry_run_option = click.option("--dry-run", is_flag=True, help="Only let the server check the request; change nothing.")
