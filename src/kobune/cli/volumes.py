"""addvolume and removevolume: what is plugged into a machine.

A volume goes into the VM's template, so that it is there after the next start as well; an instance that no VM made, and
a VM with `--ephemeral`, get it until they stop.
"""

import json
from typing import TYPE_CHECKING, Any

import click

from kobune.cli.calls import put_with
from kobune.cli.session import Session, command
from kobune.cli.targets import INSTANCES, MACHINES, subresource
from kobune.cli.verb import dry_run_option, verb

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["add_volume_options", "addvolume", "has_volume", "removevolume"]


def add_volume_options(
    volume: str, kind: str, *, disk_name: str, disk_type: str, bus: str, serial: str, cache: str
) -> dict[str, Any]:
    """AddVolumeOptions for the DataVolume or PersistentVolumeClaim `volume`. Pure."""
    key, reference = ("dataVolume", "name") if kind == "DataVolume" else ("persistentVolumeClaim", "claimName")
    name = disk_name or volume
    disk: dict[str, Any] = {"name": name, disk_type: {"bus": bus}, "serial": serial or name}
    if cache:
        disk["cache"] = cache
    return {"name": name, "disk": disk, "volumeSource": {key: {reference: volume, "hotpluggable": True}}}


async def _kind_of(client: "HttpClient", namespace: str, name: str) -> str:
    """DataVolume before PersistentVolumeClaim, because the first one makes one of the second with its name."""
    from kobune.kube.client.errors import NotFound

    for kind, path in (
        ("DataVolume", f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{namespace}/datavolumes/{name}"),
        ("PersistentVolumeClaim", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"),
    ):
        try:
            json.loads(await client.raw("GET", path))
        except NotFound:
            continue
        return kind
    raise click.ClickException(
        f"Volume {name} is not a DataVolume or PersistentVolumeClaim in namespace {namespace}: "
        "`kubectl get pvc` lists them"
    )


async def _machine(client: "HttpClient", namespace: str, name: str) -> dict[str, Any] | None:
    """The VirtualMachine; None where there is none of that name."""
    from kobune.kube.client.errors import NotFound

    try:
        found = await client.raw("GET", f"/apis/kubevirt.io/v1/namespaces/{namespace}/{MACHINES}/{name}")
    except NotFound:
        return None
    machine: dict[str, Any] = json.loads(found)
    return machine


def has_volume(machine: dict[str, Any], volume: str) -> bool:
    """Whether the VM's template names the volume. Pure."""
    template = (machine.get("spec") or {}).get("template") or {}
    return any(item.get("name") == volume for item in (template.get("spec") or {}).get("volumes") or ())


persist_option = click.option("--persist", is_flag=True, help="Is so without it; taken for virtctl's scripts.")


@verb(
    "addvolume",
    ("Plug the claim `data` into demo", "kobune addvolume demo --volume-name=data"),
    ("Until it stops", "kobune addvolume demo --volume-name=data --ephemeral"),
    ("With a serial number to find it by in the guest", "kobune addvolume demo --volume-name=data --serial=d1"),
)
@click.argument("name")
@click.option("--volume-name", required=True, help="Name of the DataVolume or PersistentVolumeClaim.")
@click.option("--disk-name", default="", help="Name of disk and volume in the machine; default: the volume's.")
@click.option("--ephemeral", is_flag=True, help="Leave the VM's template as it is: the volume is gone after a stop.")
@persist_option
@click.option(
    "--disk-type", type=click.Choice(["disk", "lun"]), default="disk", show_default=True, help="Kind of disk."
)
@click.option("--bus", type=click.Choice(["scsi", "virtio", "sata"]), default="scsi", show_default=True, help="Bus.")
@click.option("--serial", default="", help="Serial number that the guest sees; default: the disk's name.")
@click.option("--cache", type=click.Choice(["none", "writeback", "writethrough"]), help="Cache mode of the host.")
@dry_run_option
@command
async def addvolume(
    session: Session, /, name: str, volume_name: str, ephemeral: bool, persist: bool, dry_run: bool, **options: Any
) -> None:
    """Plug a volume into a virtual machine."""
    if ephemeral and persist:
        raise click.UsageError("--ephemeral and --persist exclude each other")
    options["cache"] = options["cache"] or ""
    async with session.open() as (client, namespace):
        kind = await _kind_of(client, namespace, volume_name)
        machine = None if ephemeral else await _machine(client, namespace, name)
        plural, what = (MACHINES, "VM") if machine is not None else (INSTANCES, "VMI")
        body = add_volume_options(volume_name, kind, **options)
        await put_with(client, subresource(namespace, plural, name, "addvolume"), body, dry_run)
    click.echo(f"Successfully submitted add volume request to {what} {name} for volume {volume_name}")


@verb(
    "removevolume",
    ("Unplug `data` from demo", "kobune removevolume demo --volume-name=data"),
)
@click.argument("name")
@click.option("--volume-name", required=True, help="Name of the volume in the machine.")
@persist_option
@dry_run_option
@command
async def removevolume(session: Session, name: str, volume_name: str, persist: bool, dry_run: bool) -> None:
    """Unplug a volume from a virtual machine."""
    async with session.open() as (client, namespace):
        machine = await _machine(client, namespace, name)
        # What only the instance has is taken from the instance.
        is_in_template = machine is not None and (persist or has_volume(machine, volume_name))
        plural, what = (MACHINES, "VM") if is_in_template else (INSTANCES, "VMI")
        await put_with(client, subresource(namespace, plural, name, "removevolume"), {"name": volume_name}, dry_run)
    click.echo(f"Successfully submitted remove volume request to {what} {name} for volume {volume_name}")
