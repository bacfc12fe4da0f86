"""What of a running instance's disks may change: volumes that are plugged in come and go, everything else stays.

Source: KubeVirt's rules and messages.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from kobune.api.kubevirt import Disk, VirtualMachineInstance, Volume
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.check import Findings
from kobune.virt.admission.validation.disks import check_disks
from kobune.virt.admission.validation.volumes import check_volumes
from kobune.virt.domain.hotplug import claim_of, hotplug_bus

__all__ = ["check_plugged_disk", "check_plugging"]

T = TypeVar("T", Volume, Disk)


def check_plugging(old: VirtualMachineInstance, new: VirtualMachineInstance) -> list[Problem]:
    """A change by a component: nothing but plugged volumes and their disks may differ in volumes and disks."""
    was, now = _named(old.spec.volumes), _named(new.spec.volumes)
    disks_were, disks = _named(old.spec.domain.devices.disks), _named(new.spec.domain.devices.disks)
    if was == now and disks_were == disks:
        return []
    if lost := sorted(set(disks) - set(now) - (set(disks_were) - set(was))):
        return [_wrong(f"disk {lost[0]} has no volume")]
    plugged = {item.name for item in old.status.volume_status if item.hotplug_volume is not None}
    permanent = {name for name, volume in was.items() if name not in plugged and volume.memory_dump is None}
    if not permanent <= set(now):
        return [_wrong("Number of permanent volumes has changed")]
    for name in was.keys() & now.keys():
        word = "permanent" if name in permanent else "hotplug"
        if was[name] != now[name]:
            return [_wrong(f"{word} volume {name}, changed")]
        if disks_were.get(name) != disks.get(name):
            return [_wrong(f"{word} disk {name}, changed")]
    for name in now.keys() - was.keys():
        if not claim_of(now[name]):
            return [_wrong(f"volume {name} is not a PVC or DataVolume")]
        if now[name].memory_dump is not None and name not in disks:
            continue
        if name not in disks:
            return [_wrong(f"disk {name} does not exist")]
        if wrong := check_plugged_disk(msgspec.to_builtins(disks[name]), name, "Hotplug configuration"):
            return wrong
    findings = Findings()
    check_disks(findings, "spec", new.spec)
    check_volumes(findings, "spec", new.spec)
    return findings.problems


def check_plugged_disk(raw: dict[str, Any], name: str, prefix: str) -> list[Problem]:
    """Whether a disk can be plugged into a running guest. `prefix` begins the message."""
    disk = msgspec.convert(raw, Disk)
    if disk.disk is not None:
        if not hotplug_bus(disk):
            allowed = "requires bus to be 'scsi' or 'virtio'"
            return [_wrong(f"{prefix} for disk [{name}] {allowed}. [{disk.disk.bus or ''}] is not permitted.")]
    elif disk.lun is not None:
        if not hotplug_bus(disk):
            return [
                _wrong(f"{prefix} for LUN [{name}] requires bus to be 'scsi'. [{disk.lun.bus or ''}] is not permitted.")
            ]
    else:
        return [_wrong(f"{prefix} for [{name}] requires diskDevice of type 'disk' or 'lun' to be used.")]
    if disk.dedicated_io_thread and hotplug_bus(disk) != "virtio":
        return [_wrong(f"{prefix} for [{name}] requires virtio bus for IOThreads.")]
    if disk.boot_order is not None and disk.boot_order < 1:
        field = "spec.domain.devices.disks[1].bootOrder"
        return [Problem(field, Reason.INVALID, "spec.domain.devices.disks[1] must have a boot order > 0, if supplied")]
    return []


def _named(items: list[T]) -> Mapping[str, T]:
    return {item.name: item for item in items}


def _wrong(message: str) -> Problem:
    return Problem("", Reason.INVALID, message)
