"""What is to be done about the plugged volumes of one instance. Pure.

The specification says what is wanted, the pods that hold volumes say what can be had, the launcher's container what it
was given, and its domain what the guest sees. A volume comes in that order, and leaves in the reverse one: a disk that
the guest still has is never taken from under it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.virt.domain.hotplug import claim_of, dump_volumes, held_volumes, hotplug_volumes
from kobune.virt.launcherproto.messages import DiskState

__all__ = [
    "NOTHING",
    "Attachment",
    "Bring",
    "PlugView",
    "VolumePlan",
    "awaited",
    "capacities",
    "plan_volumes",
    "pluggable",
]


@dataclass(frozen=True, slots=True)
class Attachment:
    """The pod that holds a volume on this node. `usable` while it runs and nobody deletes it."""

    name: str
    uid: str
    usable: bool
    block: bool


@dataclass(frozen=True, slots=True)
class PlugView:
    """`attachments` by volume; `folders` and `devices` (with numbers) are what the launcher's container was given."""

    attachments: Mapping[str, Attachment] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    devices: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def given(self) -> frozenset[str]:
        """The volumes whose data is in the launcher's container."""
        return self.folders | frozenset(self.devices)


NOTHING: Final = PlugView()
"""Neither a volume nor a pod that holds one."""


@dataclass(frozen=True, slots=True)
class Bring:
    """Give the launcher's container what the pod `pod_uid` holds."""

    volume: str
    pod_uid: str
    block: bool


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """`bring` and `take` are for the container; `follow` says that the launcher has to compare its domain."""

    bring: tuple[Bring, ...] = ()
    take: tuple[str, ...] = ()
    follow: bool = False

    @property
    def has_work(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.bring or self.take or self.follow)


def pluggable(vmi: VirtualMachineInstance) -> bool:
    """Whether there is any volume to look after: wanted, or not yet gone."""
    return bool(held_volumes(vmi.spec)) or any(found.hotplug_volume for found in vmi.status.volume_status)


def capacities(vmi: VirtualMachineInstance) -> dict[str, str]:
    """The size of every claim, by volume, as virt-controller has told it."""
    claims = {volume.name for volume in vmi.spec.volumes if claim_of(volume) and volume.memory_dump is None}
    told = {found.name: found.persistent_volume_claim_info for found in vmi.status.volume_status}
    sizes = ((name, info.capacity.get("storage")) for name, info in told.items() if info is not None)
    return {name: str(size) for name, size in sizes if size is not None and name in claims}


def plan_volumes(
    vmi: VirtualMachineInstance,
    view: PlugView,
    disks: list[DiskState],
    shown_capacities: Mapping[str, str] | None,
) -> VolumePlan:
    """`disks` are the domain's, `shown_capacities` those that the launcher was told last."""
    wanted, dumps = hotplug_volumes(vmi.spec), dump_volumes(vmi.spec)
    attached = {disk.name for disk in disks if disk.target}
    specified = {disk.name for disk in vmi.spec.domain.devices.disks}
    sizes = capacities(vmi)
    bring = tuple(
        Bring(name, pod.uid, pod.block)
        for name, pod in sorted(view.attachments.items())
        # A disk that is made in an empty claim has the claim's size, which virt-controller tells when it is bound.
        if name not in view.given and pod.usable and ((name in wanted and name in sizes) or name in dumps)
    )
    kept = wanted.keys() | dumps.keys() | attached
    take = tuple(sorted(name for name in view.given if name not in kept))
    to_plug = {name for name in view.given if name in wanted and name not in attached}
    to_unplug = {name for name in attached if name and name not in specified}
    shown = shown_capacities or {}
    grown = any(shown.get(name) != size for name, size in sizes.items())
    follow = bool(to_plug or to_unplug) or grown
    return VolumePlan(bring, take, follow)


def awaited(vmi: VirtualMachineInstance, view: PlugView) -> list[str]:
    """Volumes that a guest which is about to start should have, and that can be expected soon: their claim is there."""
    waiting = {found.name for found in vmi.status.volume_status if found.phase == "Pending"}
    return [name for name in hotplug_volumes(vmi.spec) if name not in view.given and name not in waiting]


def unsized(vmi: VirtualMachineInstance) -> list[str]:
    """Volumes that the guest starts with, and of whose claims the size is not known yet."""
    sizes, plugged = capacities(vmi), held_volumes(vmi.spec)
    return [v.name for v in vmi.spec.volumes if claim_of(v) and v.name not in sizes and v.name not in plugged]
