"""A click command that is imported when it is used, so that every other command starts fast."""

from importlib import import_module
from typing import Any

import click

__all__ = ["LazyCommand"]

HELP = {
    "up": "Run Kubernetes and the virtualization components on this machine.",
    "down": "Stop an instance and everything that it runs; its data stays.",
    "status": "Show what runs of an instance and whether it is well.",
    "kubeconfig": "Print the administrator's kubeconfig of an instance.",
}


class LazyCommand(click.Command):
    """Stands for `module:attribute` until it is called or asked for its own help."""

    def __init__(self, name: str, target: str) -> None:
        super().__init__(name, help=HELP.get(name), short_help=HELP.get(name), hidden=name not in HELP)
        self._target = target

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The real command's context: its options, its help, its function."""
        module, _, attribute = self._target.partition(":")
        real: click.Command = getattr(import_module(module), attribute)
        return real.make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the real command, which the context belongs to."""
        return ctx.command.invoke(ctx)
