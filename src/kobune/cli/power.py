"""start, stop, restart, pause, unpause, soft-reboot: one subresource call each."""

import json
from typing import Any

import click

from kobune.cli.session import Session, command

__all__ = ["GROUP", "kind_and_name", "pause", "restart", "soft_reboot", "start", "stop", "unpause"]

GROUP = "/apis/subresources.kubevirt.io/v1"


async def _put(session: Session, plural: str, name: str, verb: str, body: dict[str, Any]) -> None:
    async with session.open() as (client, namespace):
        path = f"{GROUP}/namespaces/{namespace}/{plural}/{name}/{verb}"
        await client.raw("PUT", path, body=json.dumps(body).encode())


@click.command(epilog="Example: kobune start demo")
@click.argument("name")
@click.option("--paused", is_flag=True, help="Start the guest paused.")
@command
async def start(session: Session, name: str, paused: bool) -> None:
    """Start the virtual machine NAME."""
    await _put(session, "virtualmachines", name, "start", {"paused": True} if paused else {})
    click.echo(f"VM {name} was scheduled to start")


@click.command(epilog="Examples: kobune stop demo; kobune stop demo --force --grace-period 0")
@click.argument("name")
@click.option("--grace-period", type=click.IntRange(min=0), help="Seconds that the guest has to shut down.")
@click.option("--force", is_flag=True, help="Required with --grace-period 0: the guest loses unsaved data.")
@command
async def stop(session: Session, name: str, grace_period: int | None, force: bool) -> None:
    """Stop the virtual machine NAME."""
    if grace_period == 0 and not force:
        raise click.UsageError("--grace-period 0 ends the guest at once: add --force")
    body = {} if grace_period is None else {"gracePeriod": grace_period}
    await _put(session, "virtualmachines", name, "stop", body)
    click.echo(f"VM {name} was scheduled to stop")


@click.command(epilog="Example: kobune restart demo")
@click.argument("name")
@click.option("--grace-period", type=click.IntRange(min=0), help="Seconds that the guest has to shut down.")
@click.option("--force", is_flag=True, help="Required with --grace-period 0: the guest loses unsaved data.")
@command
async def restart(session: Session, name: str, grace_period: int | None, force: bool) -> None:
    """Restart the virtual machine NAME: a new pod, a new boot."""
    if grace_period == 0 and not force:
        raise click.UsageError("--grace-period 0 ends the guest at once: add --force")
    body = {} if grace_period is None else {"gracePeriodSeconds": grace_period}
    await _put(session, "virtualmachines", name, "restart", body)
    click.echo(f"VM {name} was scheduled to restart")


KINDS = {
    "vm": "virtualmachines",
    "virtualmachine": "virtualmachines",
    "vmi": "virtualmachineinstances",
    "virtualmachineinstance": "virtualmachineinstances",
}


def kind_and_name(target: tuple[str, ...]) -> str:
    """`NAME`, `vm NAME`, `vmi NAME`, `vm/NAME`: the instance of a VM has the VM's name."""
    words = target[0].split("/") if len(target) == 1 else list(target)
    if len(words) == 1:
        return words[0]
    if len(words) == 2 and words[0].lower() in KINDS:
        return words[1]
    raise click.UsageError("give NAME, vm NAME or vmi NAME")


@click.command(epilog="Examples: kobune pause demo; kobune pause vmi demo")
@click.argument("target", nargs=-1, required=True)
@command
async def pause(session: Session, target: tuple[str, ...]) -> None:
    """Stop the vCPUs of a running guest; its memory stays."""
    name = kind_and_name(target)
    await _put(session, "virtualmachineinstances", name, "pause", {})
    click.echo(f"VMI {name} was scheduled to pause")


@click.command(epilog="Example: kobune unpause demo")
@click.argument("target", nargs=-1, required=True)
@command
async def unpause(session: Session, target: tuple[str, ...]) -> None:
    """Let a paused guest run again."""
    name = kind_and_name(target)
    await _put(session, "virtualmachineinstances", name, "unpause", {})
    click.echo(f"VMI {name} was scheduled to unpause")


@click.command("soft-reboot", epilog="Example: kobune soft-reboot demo")
@click.argument("name")
@command
async def soft_reboot(session: Session, name: str) -> None:
    """Ask the guest to reboot, by its agent or by ACPI; the pod stays."""
    await _put(session, "virtualmachineinstances", name, "softreboot", {})
    click.echo(f"VMI {name} was scheduled to soft reboot")
