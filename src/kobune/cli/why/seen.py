"""What `kobune why` looks at, and what it says. Plain values; the rules are in `explain`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kobune.api.core import CoreEvent, PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.base.clock import parse_time

__all__ = ["FINAL_PHASES", "PATIENCE", "Explanation", "Seen", "is_alive", "phase_since"]

FINAL_PHASES: Final = ("Succeeded", "Failed")
PATIENCE: Final = timedelta(seconds=60)
"""What a controller does at once on a healthy cluster; after this it deserves a look."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A machine and everything that belongs to it, at one moment.

    At least one of `vm` and `vmi` is there. `missing_claims` and `claims` are those that volumes name; `data_volumes`
    are decoded JSON, newest API version.
    """

    name: str
    namespace: str
    now: datetime
    vm: VirtualMachine | None = None
    vmi: VirtualMachineInstance | None = None
    pods: tuple[Pod, ...] = ()
    claims: tuple[PersistentVolumeClaim, ...] = ()
    missing_claims: tuple[str, ...] = ()
    data_volumes: tuple[dict[str, Any], ...] = ()
    events: tuple[CoreEvent, ...] = ()
    missing_classes: tuple[str, ...] = ()
    """Storage classes that unbound claims name and that do not exist."""
    unreadable: tuple[str, ...] = ()
    """Plurals of what the user may not read: nothing follows from its absence."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`state` is a word of KubeVirt's printable status; `waits_for` is empty when nothing is waited for."""

    state: str
    summary: str
    since: datetime | None = None
    waits_for: str = ""
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def is_alive(vmi: VirtualMachineInstance | None) -> bool:
    """Whether there is an instance that is not over."""
    return vmi is not None and vmi.status.phase not in FINAL_PHASES


def phase_since(vmi: VirtualMachineInstance) -> datetime | None:
    """When the instance's phase began."""
    for entry in reversed(vmi.status.phase_transition_timestamps):
        if entry.phase == vmi.status.phase and entry.phase_transition_timestamp:
            return parse_time(entry.phase_transition_timestamp)
    created = vmi.metadata.creation_timestamp
    return parse_time(created) if created else None
