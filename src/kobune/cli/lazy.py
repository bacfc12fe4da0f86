"""Commands that are imported when they are used, so that every other command and `--help` start fast."""

from importlib import import_module
from typing import Any

import click

__all__ = ["LazyCommand"]


class LazyCommand(click.Command):
    """Stands for `module:attribute` until it is called or asked for its own help.

    `summary` is what the list of commands shows; without one the command is not listed.
    """

    def __init__(self, name: str, target: str, summary: str = "") -> None:
        super().__init__(name, help=summary, short_help=summary, hidden=not summary)
        self.target = target

    def load(self) -> click.Command:
        """The real command."""
        module, _, attribute = self.target.partition(":")
        real: click.Command = getattr(import_module(module), attribute)
        return real

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The real command's context: its options, its help, its function."""
        return self.load().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the real command, which the context belongs to."""
        return ctx.command.invoke(ctx)
