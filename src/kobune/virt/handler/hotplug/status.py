"""What the API is told about plugged volumes: their entries in status.volumeStatus. Pure.

Owns the phases from MountedToPod on, and back; those before are virt-controller's, which also removes the entry. Words
are KubeVirt's.
"""

from typing import Any

from kobune.virt.handler.hotplug.dump import COMPLETED, FAILED, IN_PROGRESS, Dump, dump_entry
from kobune.virt.handler.hotplug.plan import PlugView
from kobune.virt.launcherproto.messages import DiskState

__all__ = ["plugged_entry", "plugging_events"]

Entry = dict[str, Any]

_READY, _MOUNTED, _UNMOUNTED = "Ready", "MountedToPod", "UnMountedFromPod"
_IN_CONTAINER = (_READY, _MOUNTED, IN_PROGRESS, COMPLETED, FAILED)


def plugged_entry(
    entry: Entry, view: PlugView, disk: DiskState | None, *, wanted: bool, trouble: str, dump: Dump | None = None
) -> Entry:
    """The entry of a volume. `disk` is the domain's, if it has it; `trouble` the last failure with any volume.

    `dump` is the dump that goes to it, as far as it is known here.
    """
    name = entry["name"]
    if disk is not None and disk.target:
        said = f"Successfully attach hotplugged volume {name} to VM"
        shown = {**entry, "target": disk.target, "phase": _READY, "reason": "VolumeReady", "message": said}
        return {**shown, "message": disk.trouble} if disk.trouble else shown
    entry = {**entry, "target": ""}
    if wanted and name in view.given and (dump is not None or entry.get("phase") in (COMPLETED, FAILED)):
        return dump_entry(entry, dump)
    if wanted and name in view.given:
        message = (disk.trouble if disk is not None else "") or (f"Volume {name} has been mounted in virt-launcher pod")
        return {**entry, "phase": _MOUNTED, "reason": "VolumeMountedToPod", "message": message}
    if not wanted and name not in view.given and entry.get("phase", "") in _IN_CONTAINER:
        message = f"Volume {name} has been unmounted from virt-launcher pod"
        return {**entry, "phase": _UNMOUNTED, "reason": "VolumeUnMountedFromPod", "message": message}
    if wanted and trouble and entry.get("phase") == "AttachedToNode":
        return {**entry, "message": trouble}
    return entry


def plugging_events(before: dict[str, Entry], after: dict[str, Entry]) -> list[tuple[str, str]]:
    """Reason and message of what has changed for people: a disk is there, or gone."""
    events = []
    for name, entry in after.items():
        phase = entry.get("phase")
        if "hotplugVolume" in entry and phase in (_READY, _UNMOUNTED) and before.get(name, {}).get("phase") != phase:
            events.append((entry["reason"], entry["message"]))
    return events
