"""The `kobune` program: the verbs of cli/ and the commands that run an instance."""

import os
import sys
from collections.abc import Iterator

import click

from kobune.base.errors import KobuneError
from kobune.cli.app import app
from kobune.cli.lazy import LazyCommand

__all__ = ["INSTANCE_COMMANDS", "main"]

# Each is imported when it is called: `kobune console` must not load a Kubernetes. The last one is not for people.
INSTANCE_COMMANDS = (
    ("up", "kobune.main.up:up", "Run Kubernetes and the virtualization components on this machine."),
    ("down", "kobune.main.down:down", "Stop an instance and everything that it runs; its data stays."),
    ("status", "kobune.main.status:status", "Show what runs of an instance and whether it is well."),
    ("kubeconfig", "kobune.main.status:kubeconfig", "Print the administrator's kubeconfig of an instance."),
    ("backup", "kobune.main.backup:backup", "Write an instance's objects and identities to a file."),
    ("restore", "kobune.main.restore:restore", "Put a backup in the place of an instance."),
    ("component", "kobune.main.components:component", ""),
)


def main() -> None:
    """Entry point; expected errors become one line and exit status 1."""
    for name, target, summary in INSTANCE_COMMANDS:
        app.add_command(LazyCommand(name, target, summary))
    try:
        app.main(prog_name="kobune", standalone_mode=False)
    except click.exceptions.Abort:
        # The terminal shows ^C in a line of its own only if something ends it.
        click.echo("\nInterrupted", err=True)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Who read our output has seen enough; Python must not try to write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except KobuneError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    except ExceptionGroup as group:
        # Parallel steps fail together; only what nobody expected deserves a stack.
        expected, unexpected = group.split(KobuneError)
        for leaf in _leaves(expected):
            click.echo(f"Error: {leaf}", err=True)
        if unexpected is not None:
            raise unexpected from None
        raise SystemExit(1) from None


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    elif error is not None:
        yield error


if __name__ == "__main__":
    main()
