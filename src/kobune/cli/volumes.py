"""addvolume and removevolume: what is plugged into a machine, now or from its next start on."""

import json
from typing import TYPE_CHECKING, Any

import click

from kobune.cli.power import INSTANCES, MACHINES, put
from kobune.cli.session import Session, command
from kobune.cli.verb import dry_run_option, verb

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["add_volume_options", "addvolume", "removevolume"]


def add_volume_options(
    name: str, kind: str, *, disk_type: str, bus: str, serial: str, cache: str, boot_order: int | None = None
) -> dict[str, Any]:
    """AddVolumeOptions for the DataVolume or PersistentVolumeClaim `name`. Pure."""
    key, reference = ("dataVolume", "name") if kind == "DataVolume" else ("persistentVolumeClaim", "claimName")
    disk: dict[str, Any] = {"name": name, disk_type: {"bus": bus}, "serial": serial or name}
    if cache:
        disk["cache"] = cache
    if boot_order is not None:
        disk["bootOrder"] = boot_order
    return {"name": name, "disk": disk, "volumeSource": {key: {reference: name, "hotpluggable": True}}}


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


@verb(
    "addvolume",
    ("Plug the claim `data` into demo until it stops", "kobune addvolume demo --volume-name=data"),
    ("Keep it for the next starts, too", "kobune addvolume demo --volume-name=data --persist"),
)
@click.argument("name")
@click.option("--volume-name", required=True, help="Name of the DataVolume or PersistentVolumeClaim.")
@click.option("--persist", is_flag=True, help="Write it into the VM's template, so that it stays over restarts.")
@click.option(
    "--disk-type", type=click.Choice(["disk", "lun"]), default="disk", show_default=True, help="Kind of disk."
)
@click.option("--bus", type=click.Choice(["scsi", "virtio", "sata"]), default="scsi", show_default=True, help="Bus.")
@click.option("--serial", default="", help="Serial number that the guest sees; default: the volume's name.")
@click.option("--cache", type=click.Choice(["none", "writeback", "writethrough"]), help="Cache mode of the host.")
@dry_run_option
@command
async def addvolume(
    session: Session,
    name: str,
    volume_name: str,
    persist: bool,
    disk_type: str,
    bus: str,
    serial: str,
    cache: str | None,
    dry_run: bool,
) -> None:
    """Plug a volume into a virtual machine."""
    async with session.open() as (client, namespace):
        kind = await _kind_of(client, namespace, volume_name)
    body = add_volume_options(volume_name, kind, disk_type=disk_type, bus=bus, serial=serial, cache=cache or "")
    await put(session, MACHINES if persist else INSTANCES, name, "addvolume", body, dry_run)
    what = "VM" if persist else "VMI"
    click.echo(f"Successfully submitted add volume request to {what} {name} for volume {volume_name}")


@verb(
    "removevolume",
    ("Unplug `data` from demo", "kobune removevolume demo --volume-name=data"),
    ("Take it out of the VM's template, too", "kobune removevolume demo --volume-name=data --persist"),
)
@click.argument("name")
@click.option("--volume-name", required=True, help="Name of the volume in the machine.")
@click.option("--persist", is_flag=True, help="Take it out of the VM's template, too.")
@dry_run_option
@command
async def removevolume(session: Session, name: str, volume_name: str, persist: bool, dry_run: bool) -> None:
    """Unplug a volume from a virtual machine."""
    await put(session, MACHINES if persist else INSTANCES, name, "removevolume", {"name": volume_name}, dry_run)
    what = "VM" if persist else "VMI"
    click.echo(f"Successfully submitted remove volume request to {what} {name} for volume {volume_name}")
