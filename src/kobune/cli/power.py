"""start, stop, restart, pause, unpause, soft-reboot, reset: one subresource call each.

Only `start` waits, for the end of a guest that is shutting down: the server refuses to start a machine until then.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import click

from kobune.cli.calls import instance_verb, put, put_with
from kobune.cli.session import Session, command
from kobune.cli.targets import INSTANCES, MACHINES, subresource
from kobune.cli.verb import dry_run_option, verb

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["pause", "reset", "restart", "soft_reboot", "start", "stop", "unpause"]

NOT_GIVEN: Final = -1
"""What virtctl's scripts pass as a grace period for the machine's own."""


STOP_LIMIT_S: Final = 300.0
"""Longest wait for a guest that shuts down."""
SETTLE_ATTEMPTS: Final = 20
SETTLE_S: Final = 0.25


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
    """Start a virtual machine.

    One that is being stopped is started once its guest has ended.
    """
    from kobune.kube.client.errors import Conflict

    async with session.open() as (client, namespace):
        path, body = subresource(namespace, MACHINES, name, "start"), {"paused": True} if paused else {}
        try:
            await put_with(client, path, body, dry_run)
        except Conflict:
            if dry_run or not await _has_ended(client, namespace, name):
                raise
            await _start_again(client, path, body)
    click.echo(f"VM {name} was scheduled to start")


async def _start_again(client: "HttpClient", path: str, body: dict[str, Any]) -> None:
    """virt-controller needs a moment to strike off the stop that was asked for."""
    from kobune.kube.client.errors import Conflict

    for _ in range(SETTLE_ATTEMPTS - 1):
        try:
            return await put_with(client, path, body, False)
        except Conflict:
            await asyncio.sleep(SETTLE_S)
    return await put_with(client, path, body, False)


async def _has_ended(client: "HttpClient", namespace: str, name: str) -> bool:
    """Wait for an instance that was told to stop; False at once for any other, and when it takes too long."""
    from kobune.kube.client.errors import NotFound

    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/{INSTANCES}/{name}"
    said = False
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            while True:
                instance: dict[str, Any] = json.loads(await client.raw("GET", path))
                if not instance["metadata"].get("deletionTimestamp"):
                    return False
                if not said:
                    said = True
                    click.echo(f"Waiting for the guest of {name} to shut down (at most {STOP_LIMIT_S:.0f} s)", err=True)
                await asyncio.sleep(0.3)
    except NotFound:
        return said
    except TimeoutError:
        return False


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
