"""What `kobune why` looks at, and what it says. Plain values; the rules are in `explain`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kobune.api.core import CoreEvent, PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance

__all__ = ["Explanation", "Seen"]


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


@dataclass(frozen=True, slots=True)
class Explanation:
    """`state` is a word of KubeVirt's printable status; `waits_for` is empty when nothing is waited for."""

    state: str
    summary: str
    since: datetime | None = None
    waits_for: str = ""
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
