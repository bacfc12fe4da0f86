"""What the guest agent tells and does: guestosinfo, userlist, fslist, freeze, unfreeze."""

import json

import click

from kobune.cli.power import INSTANCES, put
from kobune.cli.session import Session, command
from kobune.cli.targets import subresource
from kobune.cli.verb import verb

__all__ = ["freeze", "fslist", "guestosinfo", "unfreeze", "userlist"]


async def _show(session: Session, name: str, question: str) -> None:
    async with session.open() as (client, namespace):
        answer = json.loads(await client.raw("GET", subresource(namespace, INSTANCES, name, question)))
    click.echo(json.dumps(answer, indent=2))


@verb("guestosinfo", ("Ask demo's agent", "kobune guestosinfo demo"))
@click.argument("name")
@command
async def guestosinfo(session: Session, name: str) -> None:
    """Show what the guest agent tells about the operating system."""
    await _show(session, name, "guestosinfo")


@verb("userlist", ("Who is logged in to demo", "kobune userlist demo"))
@click.argument("name")
@command
async def userlist(session: Session, name: str) -> None:
    """Show who is logged in to a guest."""
    await _show(session, name, "userlist")


@verb("fslist", ("What demo has mounted, and how full it is", "kobune fslist demo"))
@click.argument("name")
@command
async def fslist(session: Session, name: str) -> None:
    """Show the file systems that a guest has mounted."""
    await _show(session, name, "filesystemlist")


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


@verb("unfreeze", ("Thaw demo", "kobune unfreeze demo"))
@click.argument("name")
@command
async def unfreeze(session: Session, name: str) -> None:
    """Thaw the file systems of a guest."""
    await put(session, INSTANCES, name, "unfreeze", {}, False)
    click.echo(f"VMI {name} was unfrozen")
