"""Pools of equal virtual machines. Source: pool.kubevirt.io/v1beta1."""

from kobune.api.core import NodeSelectorRequirement
from kobune.api.kubevirt.vm import VirtualMachineSpec
from kobune.api.meta import Int32, Int64, IntOrString, LabelSelector, Object, ObjectMeta, Time

__all__ = [
    "VirtualMachineOpportunisticUpdateStrategy",
    "VirtualMachinePool",
    "VirtualMachinePoolAutohealingStrategy",
    "VirtualMachinePoolCondition",
    "VirtualMachinePoolNameGeneration",
    "VirtualMachinePoolOpportunisticScaleInStrategy",
    "VirtualMachinePoolProactiveScaleInStrategy",
    "VirtualMachinePoolProactiveUpdateStrategy",
    "VirtualMachinePoolScaleInStrategy",
    "VirtualMachinePoolSelectionPolicy",
    "VirtualMachinePoolSelectors",
    "VirtualMachinePoolSpec",
    "VirtualMachinePoolStatus",
    "VirtualMachinePoolUnmanagedStrategy",
    "VirtualMachinePoolUpdateStrategy",
    "VirtualMachineTemplateSpec",
]


class VirtualMachineTemplateSpec(Object, frozen=True, kw_only=True):
    """A machine to be made: metadata and spec."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineSpec | None = None


class VirtualMachinePoolNameGeneration(Object, frozen=True, kw_only=True):
    """Whether names of configuration and secrets get the machine's index."""

    append_index_to_config_map_refs: bool | None = None
    append_index_to_secret_refs: bool | None = None


class VirtualMachinePoolAutohealingStrategy(Object, frozen=True, kw_only=True):
    """When a machine that fails to start is replaced."""

    min_failing_to_start_duration: str | None = None
    start_up_failure_threshold: Int64 | None = None


class VirtualMachinePoolSelectors(Object, frozen=True, kw_only=True):
    """Selects machines by labels."""

    label_selector: LabelSelector | None = None
    node_selector_requirement_matcher: list[NodeSelectorRequirement] = []


class VirtualMachinePoolSelectionPolicy(Object, frozen=True, kw_only=True):
    """Which machines go first."""

    selectors: VirtualMachinePoolSelectors | None = None
    sort_policy: str | None = None


class VirtualMachinePoolOpportunisticScaleInStrategy(Object, frozen=True, kw_only=True):
    """Scales in by machines that stop."""

    state_preservation: str | None = None


class VirtualMachinePoolProactiveScaleInStrategy(Object, frozen=True, kw_only=True):
    """Scales in at once."""

    selection_policy: VirtualMachinePoolSelectionPolicy | None = None
    state_preservation: str | None = None


class VirtualMachinePoolUnmanagedStrategy(Object, frozen=True, kw_only=True):
    """Leaves it to the user."""


class VirtualMachinePoolScaleInStrategy(Object, frozen=True, kw_only=True):
    """How machines are taken away."""

    opportunistic: VirtualMachinePoolOpportunisticScaleInStrategy | None = None
    proactive: VirtualMachinePoolProactiveScaleInStrategy | None = None
    unmanaged: VirtualMachinePoolUnmanagedStrategy | None = None


class VirtualMachinePoolProactiveUpdateStrategy(Object, frozen=True, kw_only=True):
    """Updates machines at once."""

    selection_policy: VirtualMachinePoolSelectionPolicy | None = None


class VirtualMachineOpportunisticUpdateStrategy(Object, frozen=True, kw_only=True):
    """Updates machines when they restart."""


class VirtualMachinePoolUpdateStrategy(Object, frozen=True, kw_only=True):
    """How machines follow the template."""

    opportunistic: VirtualMachineOpportunisticUpdateStrategy | None = None
    proactive: VirtualMachinePoolProactiveUpdateStrategy | None = None
    unmanaged: VirtualMachinePoolUnmanagedStrategy | None = None


class VirtualMachinePoolSpec(Object, frozen=True, kw_only=True):
    """How many machines, and what they look like."""

    selector: LabelSelector
    virtual_machine_template: VirtualMachineTemplateSpec
    autohealing: VirtualMachinePoolAutohealingStrategy | None = None
    max_unavailable: IntOrString | None = None
    name_generation: VirtualMachinePoolNameGeneration | None = None
    paused: bool | None = None
    replicas: Int32 | None = None
    scale_in_strategy: VirtualMachinePoolScaleInStrategy | None = None
    update_strategy: VirtualMachinePoolUpdateStrategy | None = None


class VirtualMachinePoolCondition(Object, frozen=True, kw_only=True):
    """ReplicaFailure or ReplicaPaused."""

    type: str
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str


class VirtualMachinePoolStatus(Object, frozen=True, kw_only=True):
    """Counts, and the selector as text for the scale subresource."""

    conditions: list[VirtualMachinePoolCondition] = []
    label_selector: str | None = None
    ready_replicas: Int32 | None = None
    replicas: Int32 | None = None


class VirtualMachinePool(Object, frozen=True, kw_only=True):
    """Keeps a number of equal machines."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachinePoolSpec
    status: VirtualMachinePoolStatus = VirtualMachinePoolStatus()
