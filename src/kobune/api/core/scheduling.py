"""Where a pod may run: affinity, tolerations, taints, spreading. Source: core/v1."""

from kobune.api.core.reference import NodeSelector, NodeSelectorTerm
from kobune.api.meta import LabelSelector, Object, Time

__all__ = [
    "Affinity",
    "NodeAffinity",
    "PodAffinity",
    "PodAffinityTerm",
    "PodAntiAffinity",
    "PodSchedulingGate",
    "PreferredSchedulingTerm",
    "Taint",
    "Toleration",
    "TopologySpreadConstraint",
    "WeightedPodAffinityTerm",
]


class PreferredSchedulingTerm(Object, frozen=True, kw_only=True):
    """A preference with a weight from 1 to 100."""

    weight: int
    """How much it counts, 1 to 100."""
    preference: NodeSelectorTerm


class NodeAffinity(Object, frozen=True, kw_only=True):
    """Rules about the node's labels and name."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm] = []
    """Nodes that are better than others."""


class PodAffinityTerm(Object, frozen=True, kw_only=True):
    """Pods that share the node's value of `topology_key`; no namespaces and no selector of them: the pod's own."""

    topology_key: str
    """The node label whose value is the place."""
    label_selector: LabelSelector | None = None
    namespaces: list[str] = []
    """Namespaces of the pods."""
    namespace_selector: LabelSelector | None = None
    match_label_keys: list[str] = []
    """Label keys whose values are taken from the pod itself."""
    mismatch_label_keys: list[str] = []
    """Label keys whose values must differ from the pod's."""


class WeightedPodAffinityTerm(Object, frozen=True, kw_only=True):
    """A preference with a weight from 1 to 100."""

    weight: int
    """How much it counts, 1 to 100."""
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Object, frozen=True, kw_only=True):
    """Together with these pods."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = []
    """Terms that must hold."""
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = []
    """Terms that are better held."""


class PodAntiAffinity(Object, frozen=True, kw_only=True):
    """Away from these pods."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = []
    """Terms that must hold."""
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = []
    """Terms that are better held."""


class Affinity(Object, frozen=True, kw_only=True):
    """All rules of all three kinds hold together."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class Toleration(Object, frozen=True, kw_only=True):
    """`operator` is Equal (the default) or Exists; an empty key with Exists tolerates every taint."""

    key: str = ""
    """The taint's key."""
    operator: str = ""
    """Equal or Exists; Equal if left out."""
    value: str = ""
    """The taint's value."""
    effect: str = ""
    """NoSchedule, PreferNoSchedule or NoExecute; all if left out."""
    toleration_seconds: int | None = None
    """How long a NoExecute taint is tolerated; for ever if left out."""


class Taint(Object, frozen=True, kw_only=True):
    """`effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    effect: str
    value: str = ""
    time_added: Time | None = None


class TopologySpreadConstraint(Object, frozen=True, kw_only=True):
    """`when_unsatisfiable` is DoNotSchedule or ScheduleAnyway."""

    max_skew: int
    """How far the counts of two places may differ."""
    topology_key: str
    """The node label whose value is the place."""
    when_unsatisfiable: str
    """DoNotSchedule or ScheduleAnyway."""
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    """How many places there must be at least."""
    node_affinity_policy: str | None = None
    """Whether nodes that the pod cannot use count: Honor leaves them out, Ignore counts them."""
    node_taints_policy: str | None = None
    """Whether tainted nodes count: Honor leaves them out, Ignore counts them."""
    match_label_keys: list[str] = []
    """Label keys whose values are taken from the pod itself."""


class PodSchedulingGate(Object, frozen=True, kw_only=True):
    """The scheduler waits until every gate is removed."""

    name: str
