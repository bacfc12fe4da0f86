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
    preference: NodeSelectorTerm


class NodeAffinity(Object, frozen=True, kw_only=True):
    """Rules about the node's labels and name."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm] = []


class PodAffinityTerm(Object, frozen=True, kw_only=True):
    """Pods that share the node's value of `topology_key`; no namespaces and no selector of them: the pod's own."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: list[str] = []
    namespace_selector: LabelSelector | None = None
    match_label_keys: list[str] = []
    mismatch_label_keys: list[str] = []


class WeightedPodAffinityTerm(Object, frozen=True, kw_only=True):
    """A preference with a weight from 1 to 100."""

    weight: int
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Object, frozen=True, kw_only=True):
    """Together with these pods."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = []
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = []


class PodAntiAffinity(Object, frozen=True, kw_only=True):
    """Away from these pods."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = []
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = []


class Affinity(Object, frozen=True, kw_only=True):
    """All rules of all three kinds hold together."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class Toleration(Object, frozen=True, kw_only=True):
    """`operator` is Equal (the default) or Exists; an empty key with Exists tolerates every taint."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class Taint(Object, frozen=True, kw_only=True):
    """`effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    effect: str
    value: str = ""
    time_added: Time | None = None


class TopologySpreadConstraint(Object, frozen=True, kw_only=True):
    """`when_unsatisfiable` is DoNotSchedule or ScheduleAnyway."""

    max_skew: int
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: list[str] = []


class PodSchedulingGate(Object, frozen=True, kw_only=True):
    """The scheduler waits until every gate is removed."""

    name: str
