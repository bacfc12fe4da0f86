"""How a verb is declared: its options as virtctl takes them, and examples below its help."""

from collections.abc import Callable
from typing import Any

import click

__all__ = ["Verb", "dry_run_option", "examples", "verb"]

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Verb(click.Command):
    """Takes `--flag=true` and `--flag=false` besides `--flag`, because scripts for virtctl write them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Rewrite flags with a value; everything behind `--` is left as it is."""
        flags = {
            name
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and parameter.is_flag
            for name in parameter.opts
        }
        rewritten: list[str] = []
        for index, word in enumerate(args):
            if word == "--":
                rewritten += args[index:]
                break
            name, separator, value = word.partition("=")
            if separator and name in flags and value.lower() in ("true", "false"):
                rewritten += [name] if value.lower() == "true" else []
            else:
                rewritten.append(word)
        return super().parse_args(ctx, rewritten)


def examples(*pairs: tuple[str, str]) -> str:
    """An epilog of (what it does, command line) pairs, kept line by line."""
    lines = ["\b", "Examples:"]
    for what, line in pairs:
        lines += [f"  # {what}", f"  {line}"]
    return "\n".join(lines)


def verb(name: str, *pairs: tuple[str, str], cls: type[Verb] = Verb) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a command with examples; its docstring is its help."""

    def declare(function: Callable[..., Any]) -> click.Command:
        return click.command(name, cls=cls, epilog=examples(*pairs), context_settings=CONTEXT)(function)

    return declare


dry_run_option = click.option("--dry-run", is_flag=True, help="Only let the server check the request; change nothing.")
