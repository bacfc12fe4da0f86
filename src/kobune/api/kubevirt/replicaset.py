"""VirtualMachineInstanceReplicaSet and VirtualMachineInstancePreset. Source: kubevirt.io/v1."""

from kobune.api.kubevirt.domain import DomainSpec
from kobune.api.kubevirt.instance import VirtualMachineInstanceTemplateSpec
from kobune.api.meta import Int32, LabelSelector, Object, ObjectMeta, Time

__all__ = [
    "VirtualMachineInstancePreset",
    "VirtualMachineInstancePresetSpec",
    "VirtualMachineInstanceReplicaSet",
    "VirtualMachineInstanceReplicaSetCondition",
    "VirtualMachineInstanceReplicaSetSpec",
    "VirtualMachineInstanceReplicaSetStatus",
]


class VirtualMachineInstanceReplicaSetSpec(Object, frozen=True, kw_only=True):
    """How many instances of the template should run."""

    selector: LabelSelector
    template: VirtualMachineInstanceTemplateSpec
    paused: bool | None = None
    """Whether it leaves its instances as they are."""
    replicas: Int32 | None = None
    """How many; 1 if left out."""


class VirtualMachineInstanceReplicaSetCondition(Object, frozen=True, kw_only=True):
    """ReplicaFailure or ReplicaPaused."""

    type: str
    """Which condition it is."""
    last_probe_time: Time | None = None
    """When it was last looked at."""
    last_transition_time: Time | None = None
    """When the status last changed."""
    message: str | None = None
    """What it means, for people."""
    reason: str | None = None
    """One word for programs."""
    status: str
    """True, False or Unknown."""


class VirtualMachineInstanceReplicaSetStatus(Object, frozen=True, kw_only=True):
    """Counts, and the selector as text for the scale subresource."""

    conditions: list[VirtualMachineInstanceReplicaSetCondition] = []
    """What is true of the set, one by one."""
    label_selector: str | None = None
    """The selector as text."""
    ready_replicas: Int32 | None = None
    """Instances that are ready."""
    replicas: Int32 | None = None
    """Instances that exist."""


class VirtualMachineInstanceReplicaSet(Object, frozen=True, kw_only=True):
    """Keeps a number of equal instances running."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstanceReplicaSetSpec
    status: VirtualMachineInstanceReplicaSetStatus = VirtualMachineInstanceReplicaSetStatus()


class VirtualMachineInstancePresetSpec(Object, frozen=True, kw_only=True):
    """Domain settings for the instances that match."""

    selector: LabelSelector
    domain: DomainSpec | None = None


class VirtualMachineInstancePreset(Object, frozen=True, kw_only=True):
    """Old way to share settings; kept as a type."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstancePresetSpec | None = None
