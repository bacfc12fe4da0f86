"""What the guest agent tells and does: guestosinfo, userlist, fslist, freeze, unfreeze."""

import json

import click

from kobune.cli.calls import instance_verb, put
from kobune.cli.session import Session, command
from kobune.cli.targets import INSTANCES, subresource
from kobune.cli.verb import verb

__all__ = ["freeze", "fslist", "guestosinfo", "unfreeze", "userlist"]


def _question(name: str, subject: str, summary: str, what: str) -> click.Command:
    """A verb that prints what the agent answers, as JSON."""

    async def ask(session: Session, target: str) -> None:
        async with session.open() as (client, namespace):
            answer = json.loads(await client.raw("GET", subresource(namespace, INSTANCES, target, subject)))
        click.echo(json.dumps(answer, indent=2))

    ask.__doc__ = summary
    return verb(name, (what, f"kobune {name} demo"))(click.argument("target", metavar="NAME")(command(ask)))


guestosinfo = _question(
    "guestosinfo",
    "guestosinfo",
    "Show what the guest agent tells about the operating system.",
    "Ask demo's agent",
)
userlist = _question("userlist", "userlist", "Show who is logged in to a guest.", "Who is logged in to demo")
fslist = _question(
    "fslist",
    "filesystemlist",
    "Show the file systems that a guest has mounted.",
    "What demo has mounted, and how full it is",
)


@verb("freeze", ("Freeze demo for at most a minute", "kobune freeze demo --unfreeze-timeout 1m"))
@click.argument("name")
@click.option(
    "--unfreeze-timeout", default="5m", show_default=True, help="Thaw by itself after this time (such as 90s)."
)
@command
async def freeze(session: Session, name: str, unfreeze_timeout: str) -> None:
    """Freeze the file systems of a guest, for a consistent snapshot."""
    await put(session, INSTANCES, name, "freeze", {"unfreezeTimeout": unfreeze_timeout}, False)
    click.echo(f"VMI {name} was frozen; it thaws in {unfreeze_timeout} or by `kobune unfreeze {name}`")


unfreeze = instance_verb(
    "unfreeze", "unfreeze", "was unfrozen", "Thaw the file systems of a guest.", ("Thaw demo", "kobune unfreeze demo")
)
