"""`kobune why vm NAME`, `kobune why vmi NAME`."""

import click

from kobune.cli.session import Session, command
from kobune.cli.targets import KINDS
from kobune.cli.verb import verb

__all__ = ["why"]


@verb(
    "why",
    ("Why does demo not run?", "kobune why vm demo"),
    ("The same for an instance without a VM", "kobune why vmi demo"),
)
@click.argument("target", nargs=-1, required=True, metavar="[vm|vmi] NAME")
@command
async def why(session: Session, target: tuple[str, ...]) -> None:
    """Say what state a virtual machine is in, and why.

    One screen: the state, what it waits for and since when, what to do, and the last events of the machine and of
    everything that belongs to it.
    """
    # The Kubernetes and KubeVirt types take their time to import.
    from kobune.cli.why.explain import explain
    from kobune.cli.why.gather import gather
    from kobune.cli.why.show import show

    words = target[0].split("/") if len(target) == 1 else list(target)
    kind = KINDS.get(words[0].lower()) if len(words) == 2 else "virtualmachines"
    if kind is None or len(words) > 2:
        raise click.UsageError("give vm NAME or vmi NAME")
    async with session.open() as (client, namespace):
        seen = await gather(client, kind, words[-1], namespace)
    click.echo(show(seen, explain(seen)))
