"""Dumps of a guest's memory: which one is to be made now, and what the API is told of one. Pure.

A dump is made once its volume is in the launcher's container, and once only: what is in the volume's entry of
status.volumeStatus, or was seen by this process, is not made again. Words and names are KubeVirt's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import format_time
from kobune.virt.domain.hotplug import dump_volumes
from kobune.virt.handler.hotplug.plan import PlugView

__all__ = ["COMPLETED", "FAILED", "IN_PROGRESS", "Dump", "dump_entry", "next_dump"]

IN_PROGRESS: Final = "MemoryDumpInProgress"
COMPLETED: Final = "MemoryDumpCompleted"
FAILED: Final = "MemoryDumpFailed"


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump as this process knows it; `trouble` says why it failed."""

    file: str
    started: datetime
    ended: datetime | None = None
    trouble: str = ""


def next_dump(
    vmi: VirtualMachineInstance, view: PlugView, dumps: Mapping[str, Dump], now: datetime
) -> tuple[str, str] | None:
    """The volume that a dump goes to now, and the file's name."""
    phases = {found.name: found.phase for found in vmi.status.volume_status}
    for name in sorted(dump_volumes(vmi.spec)):
        if name in view.given and name not in dumps and phases.get(name) not in (COMPLETED, FAILED):
            return name, f"{vmi.metadata.name}-{name}-{now:%Y%m%d-%H%M%S}.memory.dump"
    return None


def dump_entry(entry: dict[str, Any], dump: Dump | None) -> dict[str, Any]:
    """The entry of a volume with what is known of its dump."""
    if dump is None or entry.get("phase") in (COMPLETED, FAILED):
        return entry
    told = {
        **entry.get("memoryDumpVolume", {}),
        "startTimestamp": format_time(dump.started),
        "targetFileName": dump.file,
    }
    if dump.ended is None:
        return {**entry, "memoryDumpVolume": told, "phase": IN_PROGRESS, "reason": IN_PROGRESS, "message": ""}
    told["endTimestamp"] = format_time(dump.ended)
    phase = FAILED if dump.trouble else COMPLETED
    message = dump.trouble or f"Memory dump Volume {entry['name']} has been created"
    return {**entry, "memoryDumpVolume": told, "phase": phase, "reason": phase, "message": message}
