"""start, stop, restart, pause, unpause, soft-reboot, reset: one subresource call each."""

from typing import Final

import click

from kobune.cli.calls import instance_verb, put
from kobune.cli.session import Session, command
from kobune.cli.targets import MACHINES
from kobune.cli.verb import dry_run_option, verb

__all__ = ["pause", "reset", "restart", "soft_reboot", "start", "stop", "unpause"]

NOT_GIVEN: Final = -1
"""What virtctl's scripts pass as a grace period for the machine's own."""


def _grace(grace_period: int | None, force: bool, field: str) -> dict[str, int]:
    seconds = None if grace_period == NOT_GIVEN else grace_period
    if seconds == 0 and not force:
        raise click.UsageError("--grace-period 0 ends the guest at once: add --force")
    if force and seconds is None:
        raise click.UsageError("--force needs the time that is left to the guest: add --grace-period 0")
    return {} if seconds is None else {field: seconds}


grace_period_option = click.option(
    "--grace-period",
    type=click.IntRange(min=NOT_GIVEN),
    metavar="SECONDS",
    help="Seconds that the guest has to shut down.",
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


pause = instance_verb(
    "pause",
    "pause",
    "was scheduled to pause",
    "Stop the vCPUs of a running guest; its memory stays.",
    ("Pause demo", "kobune pause vm demo"),
    ("The same by its instance", "kobune pause vmi demo"),
    may_be_dry=True,
)
unpause = instance_verb(
    "unpause",
    "unpause",
    "was scheduled to unpause",
    "Let a paused guest run again.",
    ("Let demo run again", "kobune unpause vm demo"),
    may_be_dry=True,
)
soft_reboot = instance_verb(
    "soft-reboot",
    "softreboot",
    "was scheduled to soft-reboot",
    "Ask a guest to reboot, by its agent or by ACPI.",
    ("Reboot demo from inside", "kobune soft-reboot demo"),
)
reset = instance_verb(
    "reset",
    "reset",
    "was scheduled to reset",
    "Reset a guest as its reset button would; the pod stays.",
    ("Press demo's reset button", "kobune reset demo"),
)
