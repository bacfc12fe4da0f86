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
    """Each machine refers to ConfigMaps of its own."""
    append_index_to_secret_refs: bool | None = None
    """Each machine refers to Secrets of its own."""


class VirtualMachinePoolAutohealingStrategy(Object, frozen=True, kw_only=True):
    """When a machine that fails to start is replaced."""

    min_failing_to_start_duration: str | None = None
    """How long it must have failed, such as 5m."""
    start_up_failure_threshold: Int64 | None = None
    """How many failed starts in a row it takes; 3 if left out."""


class VirtualMachinePoolSelectors(Object, frozen=True, kw_only=True):
    """Selects machines by labels."""

    label_selector: LabelSelector | None = None
    node_selector_requirement_matcher: list[NodeSelectorRequirement] = []
    """Requirements on the node's labels."""


class VirtualMachinePoolSelectionPolicy(Object, frozen=True, kw_only=True):
    """Which machines go first."""

    selectors: VirtualMachinePoolSelectors | None = None
    sort_policy: str | None = None
    """Random, AscendingOrder, DescendingOrder, Oldest or Newest."""


class VirtualMachinePoolOpportunisticScaleInStrategy(Object, frozen=True, kw_only=True):
    """Scales in by machines that stop."""

    state_preservation: str | None = None
    """What becomes of the machine's volumes: Disabled, Offline or Online."""


class VirtualMachinePoolProactiveScaleInStrategy(Object, frozen=True, kw_only=True):
    """Scales in at once."""

    selection_policy: VirtualMachinePoolSelectionPolicy | None = None
    state_preservation: str | None = None
    """What becomes of the machine's volumes: Disabled, Offline or Online."""


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
    """How many machines may be away for an update, as a number or in percent."""
    name_generation: VirtualMachinePoolNameGeneration | None = None
    paused: bool | None = None
    """Whether it leaves its machines as they are."""
    replicas: Int32 | None = None
    """How many; 1 if left out."""
    scale_in_strategy: VirtualMachinePoolScaleInStrategy | None = None
    update_strategy: VirtualMachinePoolUpdateStrategy | None = None


class VirtualMachinePoolCondition(Object, frozen=True, kw_only=True):
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


class VirtualMachinePoolStatus(Object, frozen=True, kw_only=True):
    """Counts, and the selector as text for the scale subresource."""

    conditions: list[VirtualMachinePoolCondition] = []
    """What is true of the pool, one by one."""
    label_selector: str | None = None
    """The selector as text."""
    ready_replicas: Int32 | None = None
    """Machines that are ready."""
    replicas: Int32 | None = None
    """Machines that exist."""


class VirtualMachinePool(Object, frozen=True, kw_only=True):
    """Keeps a number of equal machines."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachinePoolSpec
    status: VirtualMachinePoolStatus = VirtualMachinePoolStatus()
