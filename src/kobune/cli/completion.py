"""`kobune completion`: what a shell needs to complete commands and options."""

import click

from kobune.cli.verb import verb

__all__ = ["completion"]


@verb(
    "completion",
    ("For this shell", 'eval "$(kobune completion bash)"'),
    ("For every shell of yours", "kobune completion bash > ~/.local/share/bash-completion/completions/kobune"),
    shows={},
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"there is no completion for {shell}")
    root = click.get_current_context().find_root().command
    click.echo(found(root, {}, "kobune", "_KOBUNE_COMPLETE").source())
