"""Where one pod goes: a binding, or the reasons why there is none. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from kobune.api.core import Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodAffinityTerm
from kobune.base.clock import format_time, parse_time
from kobune.base.quantity import parse_quantity
from kobune.embedded.scheduler.fit import FILTERS, NodeView, node_term_matches, pod_requests, pods_of_term, tolerates
from kobune.kube.client.core import PODS
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.runtime.decision import Decision, Event, EventType, StatusPatch

__all__ = ["Bind", "ClaimView", "SchedulerAction", "Seen", "SelectNode", "decide"]

SPREAD_WEIGHT = Decimal(2)
VOLUME_PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind exactly this pod to a node."""

    key: Key
    uid: str
    node: str


@dataclass(frozen=True, slots=True)
class SelectNode:
    """Tell a claim's provisioner where the volume shall be."""

    key: Key
    node: str


SchedulerAction: TypeAlias = Bind | SelectNode


@dataclass(frozen=True, slots=True)
class ClaimView:
    """One claim of the pod: `reach` are the nodes that can use its volume (None: all).

    `late`: its class makes a volume once a node was chosen; `selected` is the node that was.
    """

    name: str
    exists: bool
    bound: bool
    reach: NodeSelector | None = None
    late: bool = False
    selected: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One pod without a node; all nodes; all pods that have one and have not ended, with the node's name."""

    pod: Pod
    nodes: Sequence[Node]
    placed: Sequence[tuple[str, Pod]]
    now: datetime
    claims: Sequence[ClaimView] = ()


def decide(seen: Seen) -> Decision[SchedulerAction]:
    """Bind the pod to the best node that passes all filters, or say why none does."""
    pod = seen.pod
    if pod.spec.scheduling_gates:
        return _wait(seen, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates", event=False)
    missing = _claims_missing(seen)
    if missing:
        return _wait(seen, "Unschedulable", f"0/{len(seen.nodes)} nodes are available: {missing}.", event=True)
    views = _views(seen)
    passing: list[NodeView] = []
    reasons: Counter[str] = Counter()
    for view in views:
        for rule in FILTERS:
            why = rule(pod, view)
            if why:
                reasons.update(why)
                break
        else:
            passing.append(view)
    if not passing:
        return _wait(seen, "Unschedulable", _explain(len(views), reasons), event=True)
    best = max(passing, key=lambda view: (_score(pod, view, passing), _reversed_name(view.node.metadata.name)))
    meta = pod.metadata
    name = best.node.metadata.name
    pending = [claim for claim in seen.claims if not claim.bound]
    if pending:
        # The pod is bound once its volumes are; their claims bring it back here.
        selected = tuple(SelectNode(Key(meta.namespace, own.name), name) for own in pending if own.selected != name)
        return Decision(selected) if selected else _wait_for_volumes(seen, name, [own.name for own in pending])
    events: tuple[Event, ...] = ()
    if any(condition.type == "PodScheduled" and condition.status == "False" for condition in pod.status.conditions):
        # News only after the bad one: of a pod that fits at once its nodeName says the same.
        events = (
            Event(EventType.NORMAL, "Scheduled", f"Successfully assigned {meta.namespace}/{meta.name} to {name}"),
        )
    return Decision(actions=(Bind(Key(meta.namespace, meta.name), meta.uid, name),), events=events)


def _wait_for_volumes(seen: Seen, node: str, claims: Sequence[str]) -> Decision[SchedulerAction]:
    """Making volumes takes a moment; a pod that has waited longer says for what."""
    created = seen.pod.metadata.creation_timestamp
    left = parse_time(created) + VOLUME_PATIENCE - seen.now if created else VOLUME_PATIENCE
    if left > timedelta():
        return Decision(requeue_after=left)
    text = f"waiting for the volume of PersistentVolumeClaim {', '.join(claims)} on node {node}: see the claim's events"
    return _wait(seen, "Unschedulable", text, event=True)


def _claims_missing(seen: Seen) -> str:
    for claim in seen.claims:
        if not claim.exists:
            return f'persistentvolumeclaim "{claim.name}" not found'
    if any(not claim.bound and not claim.late for claim in seen.claims):
        return "pod has unbound immediate PersistentVolumeClaims"
    return ""


def _views(seen: Seen) -> list[NodeView]:
    reach = [claim.reach for claim in seen.claims if claim.reach is not None]
    # While the selected node is there, the volume is made there; if it is gone, another one is chosen.
    names = {node.metadata.name for node in seen.nodes}
    reach += [_only(own.selected) for own in seen.claims if not own.bound and own.selected in names]
    by_name = {node.metadata.name: node for node in seen.nodes}
    others = [(by_name[name], pod) for name, pod in seen.placed if name in by_name]
    return [
        NodeView(node, [pod for where, pod in seen.placed if where == node.metadata.name], others, reach)
        for node in seen.nodes
    ]


def _only(node: str) -> NodeSelector:
    field = NodeSelectorRequirement(key="metadata.name", operator="In", values=[node])
    return NodeSelector(node_selector_terms=[NodeSelectorTerm(match_fields=[field])])


def _explain(nodes: int, reasons: Counter[str]) -> str:
    """As kube-scheduler words it: how many nodes have which problem, sorted."""
    if nodes == 0:
        return "no nodes available to schedule pods"
    parts = sorted(f"{count} {reason}" for reason, count in reasons.items())
    return f"0/{nodes} nodes are available: {', '.join(parts)}."


def _wait(seen: Seen, reason: str, message: str, *, event: bool) -> Decision[SchedulerAction]:
    pod = seen.pod
    observed: dict[str, Any] = to_builtins(pod.status)
    before = next((own for own in pod.status.conditions if own.type == "PodScheduled"), None)
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    unchanged = before is not None and (before.status, before.reason, before.message) == ("False", reason, message)
    if unchanged and before is not None:
        return Decision()
    same_status = before is not None and before.status == "False" and before.last_transition_time
    condition["lastTransitionTime"] = (
        before.last_transition_time if before and same_status and before.last_transition_time else format_time(seen.now)
    )
    rest = [own for own in observed.get("conditions", []) if own["type"] != "PodScheduled"]
    status = observed | {"conditions": [*rest, condition]}
    return Decision(
        status=StatusPatch(PODS, Key(pod.metadata.namespace, pod.metadata.name), status, observed),
        events=(Event(EventType.WARNING, "FailedScheduling", message),) if event else (),
    )


# ---- scores ----


def _score(pod: Pod, view: NodeView, passing: Sequence[NodeView]) -> Decimal:
    """Higher is better: the least loaded node, preferences, and pods of one kind apart from each other."""
    return (
        _free_share(pod, view)
        + _preferred_nodes(pod, view)
        + _preferred_pods(pod, view)
        - _soft_taints(pod, view)
        - SPREAD_WEIGHT * _siblings(pod, view)
    )


def _free_share(pod: Pod, view: NodeView) -> Decimal:
    """0 to 100: the mean of free processor and memory after the pod."""
    shares: list[Decimal] = []
    asked = pod_requests(pod)
    used = [pod_requests(other) for other in view.pods]
    for name in ("cpu", "memory"):
        total = parse_quantity(view.node.status.allocatable.get(name, 0))
        if total > 0:
            taken = sum((own.get(name, Decimal(0)) for own in used), asked.get(name, Decimal(0)))
            shares.append(max(Decimal(0), (total - taken) * 100 / total))
    return sum(shares, Decimal(0)) / len(shares) if shares else Decimal(0)


def _preferred_nodes(pod: Pod, view: NodeView) -> Decimal:
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    preferred = affinity.preferred_during_scheduling_ignored_during_execution if affinity else []
    return Decimal(sum(own.weight for own in preferred if node_term_matches(own.preference, view.node)))


def _preferred_pods(pod: Pod, view: NodeView) -> Decimal:
    affinity = pod.spec.affinity
    score = 0
    if affinity is not None and affinity.pod_affinity is not None:
        for own in affinity.pod_affinity.preferred_during_scheduling_ignored_during_execution:
            score += own.weight if _near(pod, own.pod_affinity_term, view) else 0
    if affinity is not None and affinity.pod_anti_affinity is not None:
        for own in affinity.pod_anti_affinity.preferred_during_scheduling_ignored_during_execution:
            score -= own.weight if _near(pod, own.pod_affinity_term, view) else 0
    return Decimal(score)


def _near(pod: Pod, term: PodAffinityTerm, view: NodeView) -> bool:
    domain = view.node.metadata.labels.get(term.topology_key)
    return domain is not None and any(
        node.metadata.labels.get(term.topology_key) == domain for node, _ in pods_of_term(pod, term, view.others)
    )


def _soft_taints(pod: Pod, view: NodeView) -> Decimal:
    return Decimal(
        sum(
            10
            for taint in view.node.spec.taints
            if taint.effect == "PreferNoSchedule" and not tolerates(pod.spec.tolerations, taint)
        )
    )


def _siblings(pod: Pod, view: NodeView) -> Decimal:
    """Pods with the same controller on that node."""
    owners = {owner.uid for owner in pod.metadata.owner_references if owner.controller}
    return Decimal(
        sum(1 for other in view.pods if owners & {own.uid for own in other.metadata.owner_references if own.controller})
    )


def _reversed_name(name: str) -> tuple[int, ...]:
    """Of equal nodes the first by name, so that the same world gives the same decision."""
    return tuple(-ord(letter) for letter in name)
