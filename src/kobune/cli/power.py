"""start, stop, restart, pause, unpause, soft-reboot, reset: one subresource call each."""

import json
from typing import Any

import click

from kobune.cli.session import Session, command
from kobune.cli.targets import kind_and_name, subresource
from kobune.cli.verb import dry_run_option, verb

__all__ = ["pause", "put", "reset", "restart", "soft_reboot", "start", "stop", "unpause"]

MACHINES = "virtualmachines"
INSTANCES = "virtualmachineinstances"


async def put(session: Session, plural: str, name: str, action: str, body: dict[str, Any], dry_run: bool) -> None:
    """Call a verb; with `dry_run` the server only checks."""
    if dry_run:
        body = {**body, "dryRun": ["All"]}
        click.echo("Dry Run execution")
    async with session.open() as (client, namespace):
        path = subresource(namespace, plural, name, action)
        await client.raw("PUT", path, body=json.dumps(body).encode())


def _grace(grace_period: int | None, force: bool, field: str) -> dict[str, int]:
    if grace_period == 0 and not force:
        raise click.UsageError("--grace-period 0 ends the guest at once: add --force")
    if force and grace_period is None:
        raise click.UsageError("--force needs the time that is left to the guest: add --grace-period 0")
    return {} if grace_period is None else {field: grace_period}


grace_period_option = click.option(
    "--grace-period", type=click.IntRange(min=0), metavar="SECONDS", help="Seconds that the guest has to shut down."
)
force_option = click.option("--force", is_flag=True, help="Required with --grace-period 0: unsaved data is lost.")


@verb("start", ("Start demo", "kobune start demo"), ("Start it with its vCPUs stopped", "kobune start demo --paused"))
@click.argument("name")
@click.option("--paused", is_flag=True, help="Start the guest paused.")
@dry_run_option
@command
async def start(session: Session, name: str, paused: bool, dry_run: bool) -> None:
    """Start a virtual machine."""
    await put(session, MACHINES, name, "start", {"paused": True} if paused else {}, dry_run)
    click.echo(f"VM {name} was scheduled to start")


@verb(
    "stop",
    ("Shut demo down", "kobune stop demo"),
    ("End it at once", "kobune stop demo --force --grace-period 0"),
)
@click.argument("name")
@grace_period_option
@force_option
@dry_run_option
@command
async def stop(session: Session, name: str, grace_period: int | None, force: bool, dry_run: bool) -> None:
    """Stop a virtual machine."""
    await put(session, MACHINES, name, "stop", _grace(grace_period, force, "gracePeriod"), dry_run)
    click.echo(f"VM {name} was scheduled to stop")


@verb(
    "restart",
    ("Shut demo down and start it again", "kobune restart demo"),
    ("Without waiting for the guest", "kobune restart demo --force --grace-period 0"),
)
@click.argument("name")
@grace_period_option
@force_option
@dry_run_option
@command
async def restart(session: Session, name: str, grace_period: int | None, force: bool, dry_run: bool) -> None:
    """Restart a virtual machine: a new pod, a new boot."""
    await put(session, MACHINES, name, "restart", _grace(grace_period, force, "gracePeriodSeconds"), dry_run)
    click.echo(f"VM {name} was scheduled to restart")


@verb("pause", ("Pause demo", "kobune pause vm demo"), ("The same by its instance", "kobune pause vmi demo"))
@click.argument("target", nargs=-1, required=True, metavar="[vm|vmi] NAME")
@dry_run_option
@command
async def pause(session: Session, target: tuple[str, ...], dry_run: bool) -> None:
    """Stop the vCPUs of a running guest; its memory stays."""
    name = kind_and_name(target)
    await put(session, INSTANCES, name, "pause", {}, dry_run)
    click.echo(f"VMI {name} was scheduled to pause")


@verb("unpause", ("Let demo run again", "kobune unpause vm demo"))
@click.argument("target", nargs=-1, required=True, metavar="[vm|vmi] NAME")
@dry_run_option
@command
async def unpause(session: Session, target: tuple[str, ...], dry_run: bool) -> None:
    """Let a paused guest run again."""
    name = kind_and_name(target)
    await put(session, INSTANCES, name, "unpause", {}, dry_run)
    click.echo(f"VMI {name} was scheduled to unpause")


@verb("soft-reboot", ("Reboot demo from inside", "kobune soft-reboot demo"))
@click.argument("name")
@command
async def soft_reboot(session: Session, name: str) -> None:
    """Ask a guest to reboot, by its agent or by ACPI."""
    await put(session, INSTANCES, name, "softreboot", {}, False)
    click.echo(f"VMI {name} was scheduled to soft reboot")


@verb("reset", ("Press demo's reset button", "kobune reset demo"))
@click.argument("name")
@command
async def reset(session: Session, name: str) -> None:
    """Reset a guest as its reset button would; the pod stays."""
    await put(session, INSTANCES, name, "reset", {}, False)
    click.echo(f"VMI {name} was scheduled to reset")
