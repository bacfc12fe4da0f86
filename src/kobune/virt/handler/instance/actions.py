"""The closed set of what virt-handler can do for an instance. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.resource import Key
from kobune.kube.runtime.decision import PatchObject
from kobune.virt.handler.hotplug.plan import VolumePlan

__all__ = [
    "DeliverVolumes",
    "DumpMemory",
    "Follow",
    "Forget",
    "HandlerAction",
    "Kill",
    "NoteShutdownTold",
    "PrepareNetwork",
    "PruneNetwork",
    "Shutdown",
    "Start",
    "SynchronizeInterfaces",
    "SynchronizeVolumes",
]


@dataclass(frozen=True, slots=True)
class Follow:
    """Keep a line to the pod's launcher from now on; what it tells brings the key back into the queue."""

    key: Key
    pod_uid: str
    vmi_uid: str


@dataclass(frozen=True, slots=True)
class Forget:
    """End the line. Idempotent."""

    key: Key


@dataclass(frozen=True, slots=True)
class PrepareNetwork:
    """Make the pod's network complete without touching the guest, in the background."""

    key: Key
    vmi: VirtualMachineInstance


@dataclass(frozen=True, slots=True)
class Start:
    """Make the pod's network ready, then have the launcher start the guest, in the background.

    `image` is the launcher's; `plugged` are the volumes to be plugged in whose data is in its container, `sriov` the
    interfaces that are devices of the node, with their PCI addresses.
    """

    key: Key
    vmi: VirtualMachineInstance
    image: str
    plugged: tuple[str, ...] = ()
    sriov: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DeliverVolumes:
    """Before the guest starts: bring volumes into the launcher's container, in the background.

    A failure is no setback: the guest starts in time, and the volume is plugged in later.
    """

    key: Key
    plan: VolumePlan


@dataclass(frozen=True, slots=True)
class SynchronizeVolumes:
    """Bring and take volumes, and have the launcher bring its domain's disks in line, in the background."""

    key: Key
    vmi: VirtualMachineInstance
    plan: VolumePlan


@dataclass(frozen=True, slots=True)
class DumpMemory:
    """Have the launcher write the guest's memory to `file` in a volume of its container, in the background.

    A failure is no setback: it is told of that dump.
    """

    key: Key
    volume: str
    file: str


@dataclass(frozen=True, slots=True)
class SynchronizeInterfaces:
    """Ready the network for what the pod has now; have the launcher plug, unplug and link, in the background."""

    key: Key
    vmi: VirtualMachineInstance


@dataclass(frozen=True, slots=True)
class PruneNetwork:
    """Remove what was made for the interfaces of these names, which the guest has let go of, in the background."""

    key: Key
    vmi: VirtualMachineInstance
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Ask the guest to power off; the launcher destroys it after `grace_s`."""

    key: Key
    grace_s: float


@dataclass(frozen=True, slots=True)
class NoteShutdownTold:
    """Remember that people were told of a guest that takes its time to power off."""

    key: Key


@dataclass(frozen=True, slots=True)
class Kill:
    """Destroy the guest now."""

    key: Key


HandlerAction: TypeAlias = (
    Follow
    | Forget
    | PrepareNetwork
    | DeliverVolumes
    | DumpMemory
    | SynchronizeVolumes
    | SynchronizeInterfaces
    | PruneNetwork
    | Start
    | Shutdown
    | NoteShutdownTold
    | Kill
    | PatchObject
)
