"""Which volumes of an instance are plugged in while it runs. Pure.

Owns the rule that controller, handler and launcher share: a claim (or a DataVolume's) marked `hotpluggable`, shown as a
disk or LUN on a bus that takes devices while the guest runs. Such a volume is no part of the launcher's pod: another
pod brings it to the node (docs/flows/hotplug.md).
"""

from collections.abc import Collection, Mapping

import msgspec

from kobune.api.kubevirt.devices import Disk
from kobune.api.kubevirt.instance import VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.api.kubevirt.volumes import Volume

__all__ = [
    "EPHEMERAL_VOLUMES",
    "HOTPLUG_BUSES",
    "bootable",
    "claim_of",
    "dump_volumes",
    "ephemeral_volumes",
    "held_volumes",
    "hotplug_bus",
    "hotplug_volumes",
    "is_hotpluggable",
]

EPHEMERAL_VOLUMES = "kobune.io/ephemeral-volumes"
"""Annotation of an instance: volumes that were plugged into it alone, and that its machine does not know (by comma)."""

HOTPLUG_BUSES = ("scsi", "virtio")


def claim_of(volume: Volume) -> str:
    """The claim that a volume stands for; a DataVolume fills the claim of its own name. Empty for other kinds."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    if volume.data_volume is not None:
        return volume.data_volume.name
    if volume.memory_dump is not None:
        return volume.memory_dump.claim_name
    return ""


def ephemeral_volumes(annotations: Mapping[str, str]) -> set[str]:
    """The names in the annotation."""
    return {name for name in annotations.get(EPHEMERAL_VOLUMES, "").split(",") if name}


def is_hotpluggable(volume: Volume) -> bool:
    """Whether the volume is marked as one that may come and go."""
    sources = (volume.persistent_volume_claim, volume.data_volume)
    return any(source is not None and source.hotpluggable is True for source in sources)


def hotplug_bus(disk: Disk) -> str:
    """The bus that the disk would be plugged into; empty for a kind of disk that can't be."""
    if disk.cdrom is not None:
        return ""
    if disk.lun is not None:
        bus = disk.lun.bus or "scsi"
        return bus if bus == "scsi" else ""
    bus = (disk.disk.bus if disk.disk is not None else "") or "virtio"
    return bus if bus in HOTPLUG_BUSES else ""


def hotplug_volumes(spec: VirtualMachineInstanceSpec) -> dict[str, Volume]:
    """The volumes that are plugged in, by name. One whose disk can't be is there from the start, whatever its mark."""
    if spec.domain.devices.disable_hotplug is True:
        return {}
    pluggable = {disk.name for disk in spec.domain.devices.disks if hotplug_bus(disk)}
    return {volume.name: volume for volume in spec.volumes if is_hotpluggable(volume) and volume.name in pluggable}


def dump_volumes(spec: VirtualMachineInstanceSpec) -> dict[str, Volume]:
    """The volumes that a dump of the guest's memory goes to, by name. The guest sees none of them."""
    return {volume.name: volume for volume in spec.volumes if volume.memory_dump is not None}


def held_volumes(spec: VirtualMachineInstanceSpec) -> dict[str, Volume]:
    """The volumes that are brought to the launcher while it runs, each by a pod of its own."""
    return {**hotplug_volumes(spec), **dump_volumes(spec)}


def bootable(vmi: VirtualMachineInstance, plugged: Collection[str]) -> VirtualMachineInstance:
    """The instance without those volumes that are to be plugged in and are not there (`plugged`) yet."""
    missing = set(hotplug_volumes(vmi.spec)) - set(plugged)
    if not missing:
        return vmi
    replace = msgspec.structs.replace
    devices = vmi.spec.domain.devices
    disks = [disk for disk in devices.disks if disk.name not in missing]
    domain = replace(vmi.spec.domain, devices=replace(devices, disks=disks))
    volumes = [volume for volume in vmi.spec.volumes if volume.name not in missing]
    return replace(vmi, spec=replace(vmi.spec, domain=domain, volumes=volumes))
