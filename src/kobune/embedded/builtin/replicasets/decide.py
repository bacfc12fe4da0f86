"""Which pods a ReplicaSet needs or has too many of, and its status. Pure.

Source: apps/v1 ReplicaSet. Pods are named by a hash of the set's uid and a number, so that a repeated creation meets
the pod that it made before.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.core import Pod
from kobune.base.clock import parse_time
from kobune.embedded.builtin.replicasets.types import REPLICA_SETS, ReplicaSet
from kobune.kube.client.core import PODS
from kobune.kube.client.objects import controller_of, owner_reference
from kobune.kube.client.resource import Key
from kobune.kube.client.selectors import parse_labels, render_selector
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch

__all__ = ["Observed", "decide", "is_ready"]

_BURST: Final = 100
"""Most pods that one pass creates or deletes."""
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class Observed:
    """A set, and all pods that it controls or that its selector matches and nobody controls."""

    set: ReplicaSet
    pods: tuple[Pod, ...]
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """Adopt, release, create, delete; then the status as it is now."""
    subject, metadata = seen.set, seen.set.metadata
    matches = parse_labels(render_selector(subject.spec.selector))
    owned = [pod for pod in seen.pods if (owner := controller_of(pod)) is not None and owner.uid == metadata.uid]
    actions: list[Action] = []
    events: list[Event] = []
    active = [pod for pod in owned if _is_active(pod) and matches(pod.metadata.labels)]
    if metadata.deletion_timestamp is None:
        actions += [_release(pod, metadata.uid) for pod in owned if not matches(pod.metadata.labels)]
        for pod in seen.pods:
            if controller_of(pod) is None and _is_active(pod) and matches(pod.metadata.labels):
                actions.append(_adopt(pod, subject))
                active.append(pod)
        missing = subject.spec.replicas - len(active)
        for name in _free_names(subject, {pod.metadata.name for pod in seen.pods}, min(missing, _BURST)):
            actions.append(Create(PODS, metadata.namespace, _pod(subject, name), metadata.uid))
            events.append(Event(EventType.NORMAL, "SuccessfulCreate", f"Created pod: {name}"))
        for pod in _surplus(active, -missing)[:_BURST]:
            key = Key(metadata.namespace, pod.metadata.name)
            actions.append(Delete(PODS, key, pod.metadata.uid))
            events.append(Event(EventType.NORMAL, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}"))
    status, again = _status(seen, active)
    patch = StatusPatch(REPLICA_SETS, Key(metadata.namespace, metadata.name), status, subject.status)
    return Decision(tuple(actions), patch, tuple(events), again)


def _is_active(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is None and pod.status.phase not in ("Succeeded", "Failed")


def is_ready(pod: Pod) -> bool:
    """Whether the pod's Ready condition is true."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)


def _free_names(subject: ReplicaSet, taken: set[str], count: int) -> list[str]:
    """The first `count` of the set's numbered names that nobody has."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        digest = hashlib.sha256(f"{subject.metadata.uid}/{number}".encode()).digest()
        suffix = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:5])
        name = f"{subject.metadata.name[:57]}-{suffix}"
        if name not in taken:
            found.append(name)
            taken = taken | {name}
        number += 1
    return found


def _pod(subject: ReplicaSet, name: str) -> dict[str, Any]:
    template = subject.spec.template
    given = template.get("metadata") or {}
    metadata = {
        "name": name,
        "generateName": f"{subject.metadata.name}-",
        "namespace": subject.metadata.namespace,
        "labels": given.get("labels") or {},
        "annotations": given.get("annotations") or {},
        "finalizers": given.get("finalizers") or [],
        "ownerReferences": [owner_reference(REPLICA_SETS, subject)],
    }
    return {"metadata": metadata, "spec": template.get("spec") or {}}


def _adopt(pod: Pod, subject: ReplicaSet) -> Action:
    references = [*map(msgspec.to_builtins, pod.metadata.owner_references), owner_reference(REPLICA_SETS, subject)]
    return _own(pod, references)


def _release(pod: Pod, uid: str) -> Action:
    return _own(pod, [msgspec.to_builtins(owner) for owner in pod.metadata.owner_references if owner.uid != uid])


def _own(pod: Pod, references: list[dict[str, Any]]) -> Action:
    metadata = pod.metadata
    body = {"uid": metadata.uid, "resourceVersion": metadata.resource_version, "ownerReferences": references}
    return PatchObject(PODS, Key(metadata.namespace, metadata.name), Patch.merge({"metadata": body}))


def _surplus(active: list[Pod], count: int) -> list[Pod]:
    """The pods whose loss costs least: without a node, not running, not ready, youngest."""

    def worth(pod: Pod) -> tuple[bool, bool, bool]:
        return (bool(pod.spec.node_name), pod.status.phase == "Running", is_ready(pod))

    if count <= 0:
        return []
    youngest_first = sorted(active, key=lambda pod: pod.metadata.creation_timestamp or "", reverse=True)
    return sorted(youngest_first, key=worth)[:count]


def _status(seen: Observed, active: list[Pod]) -> tuple[dict[str, Any], timedelta | None]:
    """The counts, and when a pod that is ready becomes available."""
    subject = seen.set
    waiting: list[timedelta] = []
    ready = [pod for pod in active if is_ready(pod)]
    available = 0
    for pod in ready:
        left = _ready_since(pod, seen.now) + timedelta(seconds=subject.spec.min_ready_seconds) - seen.now
        if subject.spec.min_ready_seconds == 0 or left <= timedelta(0):
            available += 1
        else:
            waiting.append(left)
    labels = ((subject.spec.template.get("metadata") or {}).get("labels") or {}).items()
    counts = {
        "fullyLabeledReplicas": sum(labels <= pod.metadata.labels.items() for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": available,
    }
    kept = {name: value for name, value in subject.status.items() if name == "conditions"}
    status = {
        **kept,
        "replicas": len(active),
        "observedGeneration": subject.metadata.generation,
        **{name: count for name, count in counts.items() if count},
    }
    return status, min(waiting, default=None)


def _ready_since(pod: Pod, now: datetime) -> datetime:
    for condition in pod.status.conditions:
        if condition.type == "Ready" and condition.last_transition_time:
            return parse_time(condition.last_transition_time)
    return now
