"""Whether a pod may run on a node, one filter per rule. Pure.

Each filter returns the reasons why not, in Kubernetes' wording; no reason means that the node passes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from kobune.api.core import (
    Node,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodAffinityTerm,
    Taint,
    Toleration,
)
from kobune.api.meta import LabelSelector
from kobune.base.quantity import parse_quantity

__all__ = ["FILTERS", "NodeView", "node_term_matches", "pod_requests", "pods_of_term", "tolerates"]

UNSCHEDULABLE_TAINT = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node, the pods that are bound to it, and all nodes' pods for rules that look further."""

    node: Node
    pods: Sequence[Pod]
    others: Sequence[tuple[Node, Pod]]
    reach: Sequence[NodeSelector] = ()
    """Where the pod's volumes can be reached: each must match."""


Filter: TypeAlias = Callable[[Pod, NodeView], list[str]]


def pod_requests(pod: Pod) -> dict[str, Decimal]:
    """What a pod asks for: all containers and sidecars, or the largest init container with the sidecars before it.

    Source: the rule for effective requests of pods with init containers, plus the pod's overhead.
    """
    steady: dict[str, Decimal] = {}
    peak: dict[str, Decimal] = {}
    for container in pod.spec.init_containers:
        asked = _requests(container.resources.requests, container.resources.limits)
        if container.restart_policy == "Always":
            steady = _sum(steady, asked)
            peak = _max(peak, steady)
        else:
            peak = _max(peak, _sum(steady, asked))
    for container in pod.spec.containers:
        steady = _sum(steady, _requests(container.resources.requests, container.resources.limits))
    total = _max(steady, peak)
    return _sum(total, {name: parse_quantity(value) for name, value in pod.spec.overhead.items()})


def _requests(requests: Mapping[str, str | int | float], limits: Mapping[str, str | int | float]) -> dict[str, Decimal]:
    # A limit without a request is the request; the API defaults it so, and pods of other origin are read the same.
    return {name: parse_quantity(value) for name, value in (dict(limits) | dict(requests)).items()}


def _sum(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    zero = Decimal(0)
    return {name: one.get(name, zero) + other.get(name, zero) for name in one.keys() | other.keys()}


def _max(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    zero = Decimal(0)
    return {name: max(one.get(name, zero), other.get(name, zero)) for name in one.keys() | other.keys()}


def node_ready(pod: Pod, view: NodeView) -> list[str]:
    """Cordoned nodes take only pods that tolerate it."""
    if view.node.spec.unschedulable and not tolerates(pod.spec.tolerations, UNSCHEDULABLE_TAINT):
        return ["node(s) were unschedulable"]
    return []


def node_name(pod: Pod, view: NodeView) -> list[str]:
    """A pod that names its node belongs there."""
    if pod.spec.node_name and pod.spec.node_name != view.node.metadata.name:
        return ["node(s) didn't match the requested node name"]
    return []


def taints(pod: Pod, view: NodeView) -> list[str]:
    """Taints that forbid scheduling and are not tolerated."""
    for taint in view.node.spec.taints:
        if taint.effect in ("NoSchedule", "NoExecute") and not tolerates(pod.spec.tolerations, taint):
            return [f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"]
    return []


def node_affinity(pod: Pod, view: NodeView) -> list[str]:
    """nodeSelector and required node affinity."""
    reason = ["node(s) didn't match Pod's node affinity/selector"]
    labels = view.node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return reason
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    if required is not None and not any(node_term_matches(term, view.node) for term in required.node_selector_terms):
        return reason
    return []


def resources(pod: Pod, view: NodeView) -> list[str]:
    """Requests against what is left of the allocatable."""
    allocatable = {name: parse_quantity(value) for name, value in view.node.status.allocatable.items()}
    used: dict[str, Decimal] = {}
    for other in view.pods:
        used = _sum(used, pod_requests(other))
    reasons: list[str] = []
    if len(view.pods) + 1 > allocatable.get("pods", Decimal(110)):
        reasons.append("Too many pods")
    for name, amount in sorted(pod_requests(pod).items()):
        if amount > 0 and amount > allocatable.get(name, Decimal(0)) - used.get(name, Decimal(0)):
            reasons.append(f"Insufficient {name}")
    return reasons


def host_ports(pod: Pod, view: NodeView) -> list[str]:
    """A port of the node can be had once."""
    wanted = _host_ports(pod)
    taken = {port for other in view.pods for port in _host_ports(other)}
    for protocol, address, number in wanted:
        for other_protocol, other_address, other_number in taken:
            same_address = address == other_address or "0.0.0.0" in (address, other_address)  # noqa: S104 - compared
            if (protocol, number) == (other_protocol, other_number) and same_address:
                return ["node(s) didn't have free ports for the requested pod ports"]
    return []


def _host_ports(pod: Pod) -> set[tuple[str, str, int]]:
    return {
        (port.protocol, port.host_ip or "0.0.0.0", port.host_port)  # noqa: S104 - Kubernetes' meaning of no address
        for container in pod.spec.containers
        for port in container.ports
        if port.host_port
    }


def pod_affinity(pod: Pod, view: NodeView) -> list[str]:
    """Required affinity to other pods. A pod that matches its own rule may be the first."""
    affinity = pod.spec.affinity.pod_affinity if pod.spec.affinity else None
    for term in affinity.required_during_scheduling_ignored_during_execution if affinity else ():
        if term.topology_key not in view.node.metadata.labels:
            return ["node(s) didn't match pod affinity rules"]
        matching = pods_of_term(pod, term, view.others)
        domain = view.node.metadata.labels[term.topology_key]
        if any(node.metadata.labels.get(term.topology_key) == domain for node, _ in matching):
            continue
        if not matching and _term_selects(pod, term, pod):
            continue
        return ["node(s) didn't match pod affinity rules"]
    return []


def pod_anti_affinity(pod: Pod, view: NodeView) -> list[str]:
    """Required anti-affinity, the pod's own and that of pods that are there."""
    affinity = pod.spec.affinity.pod_anti_affinity if pod.spec.affinity else None
    labels = view.node.metadata.labels
    for term in affinity.required_during_scheduling_ignored_during_execution if affinity else ():
        domain = labels.get(term.topology_key)
        for node, _ in pods_of_term(pod, term, view.others):
            if domain is not None and node.metadata.labels.get(term.topology_key) == domain:
                return ["node(s) didn't match pod anti-affinity rules"]
    for node, other in view.others:
        theirs = other.spec.affinity.pod_anti_affinity if other.spec.affinity else None
        for term in theirs.required_during_scheduling_ignored_during_execution if theirs else ():
            domain = node.metadata.labels.get(term.topology_key)
            if domain is not None and labels.get(term.topology_key) == domain and _term_selects(other, term, pod):
                return ["node(s) didn't satisfy existing pods anti-affinity rules"]
    return []


def volume_reach(pod: Pod, view: NodeView) -> list[str]:
    """Volumes of one node keep their pods there."""
    for selector in view.reach:
        if not any(node_term_matches(term, view.node) for term in selector.node_selector_terms):
            return ["node(s) had volume node affinity conflict"]
    return []


def topology_spread(pod: Pod, view: NodeView) -> list[str]:
    """Constraints that must hold: no domain may get more than `maxSkew` ahead of the emptiest."""
    for constraint in pod.spec.topology_spread_constraints:
        if constraint.when_unsatisfiable != "DoNotSchedule":
            continue
        domain = view.node.metadata.labels.get(constraint.topology_key)
        if domain is None:
            return ["node(s) didn't match pod topology spread constraints (missing required label)"]
        counts: dict[str, int] = {domain: 0}
        for node, other in view.others:
            where = node.metadata.labels.get(constraint.topology_key)
            if where is None:
                continue
            counts.setdefault(where, 0)
            same = other.metadata.namespace == pod.metadata.namespace
            if same and matches_labels(constraint.label_selector, other.metadata.labels):
                counts[where] += 1
        own = 1 if matches_labels(constraint.label_selector, pod.metadata.labels) else 0
        if counts[domain] + own - min(counts.values()) > constraint.max_skew:
            return ["node(s) didn't match pod topology spread constraints"]
    return []


FILTERS: tuple[Filter, ...] = (
    node_ready,
    node_name,
    taints,
    node_affinity,
    host_ports,
    resources,
    volume_reach,
    topology_spread,
    pod_affinity,
    pod_anti_affinity,
)
"""In Kubernetes' order: the first filter with a reason speaks for the node."""


# ---- matching ----


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether one of the tolerations covers the taint."""
    for toleration in tolerations:
        if toleration.effect and toleration.effect != taint.effect:
            continue
        if toleration.key and toleration.key != taint.key:
            continue
        if toleration.operator == "Exists" or (toleration.key and toleration.value == taint.value):
            return True
    return False


def matches_labels(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """A selector that is absent selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    return all(
        _requirement(NodeSelectorRequirement(key=own.key, operator=own.operator, values=own.values), labels)
        for own in selector.match_expressions
    )


def node_term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    """A term without requirements matches no node."""
    if not term.match_expressions and not term.match_fields:
        return False
    fields = {"metadata.name": node.metadata.name}
    return all(_requirement(own, node.metadata.labels) for own in term.match_expressions) and all(
        _requirement(own, fields) for own in term.match_fields
    )


def pods_of_term(pod: Pod, term: PodAffinityTerm, others: Sequence[tuple[Node, Pod]]) -> list[tuple[Node, Pod]]:
    """The pods that a term of `pod` speaks about, with their nodes."""
    return [(node, other) for node, other in others if _term_selects(pod, term, other)]


def _term_selects(owner: Pod, term: PodAffinityTerm, pod: Pod) -> bool:
    namespaces = set(term.namespaces)
    everywhere = term.namespace_selector is not None and term.namespace_selector == LabelSelector()
    if not namespaces and term.namespace_selector is None:
        namespaces = {owner.metadata.namespace}
    if not everywhere and pod.metadata.namespace not in namespaces:
        return False
    return matches_labels(term.label_selector, pod.metadata.labels)


def _requirement(own: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(own.key)
    match own.operator:
        case "In":
            return value is not None and value in own.values
        case "NotIn":
            return value is None or value not in own.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                left, right = int(value or ""), int(own.values[0])
            except (ValueError, IndexError):
                return False
            return left > right if own.operator == "Gt" else left < right
        case _:
            return False
