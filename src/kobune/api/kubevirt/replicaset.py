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
    replicas: Int32 | None = None


class VirtualMachineInstanceReplicaSetCondition(Object, frozen=True, kw_only=True):
    """ReplicaFailure or ReplicaPaused."""

    type: str
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str


class VirtualMachineInstanceReplicaSetStatus(Object, frozen=True, kw_only=True):
    """Counts, and the selector as text for the scale subresource."""

    conditions: list[VirtualMachineInstanceReplicaSetCondition] = []
    label_selector: str | None = None
    ready_replicas: Int32 | None = None
    replicas: Int32 | None = None


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
