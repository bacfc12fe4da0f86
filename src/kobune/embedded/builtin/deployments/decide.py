"""The ReplicaSets of a Deployment and its status. Pure.

Source: apps/v1 Deployment: revisions, history limit, pause, conditions Available and Progressing.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.meta import IntOrString, LabelSelector, Object, ObjectMeta
from kobune.base.clock import format_time, parse_time
from kobune.embedded.builtin.deployments.rollout import Version, limits, next_replicas
from kobune.embedded.builtin.replicasets.types import REPLICA_SETS, ReplicaSet
from kobune.kube.client.objects import owner_reference
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch

__all__ = ["DEPLOYMENTS", "Deployment", "Observed", "decide"]

_HASH_LABEL: Final = "pod-template-hash"
_REVISION: Final = "deployment.kubernetes.io/revision"
_DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
_MOST: Final = "deployment.kubernetes.io/max-replicas"
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


class RollingUpdate(Object, frozen=True, kw_only=True):
    """Numbers or percentages."""

    max_surge: IntOrString = "25%"
    max_unavailable: IntOrString = "25%"


class Strategy(Object, frozen=True, kw_only=True):
    """`type` is RollingUpdate or Recreate."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Object, frozen=True, kw_only=True):
    """`template` is a PodTemplateSpec."""

    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: dict[str, Any] = {}
    strategy: Strategy = Strategy()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    progress_deadline_seconds: int = 600
    paused: bool = False


class Deployment(Object, frozen=True, kw_only=True):
    """A Deployment; its status is kept as it is written."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: dict[str, Any] = {}


DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment", True, Deployment)


@dataclass(frozen=True, slots=True)
class Observed:
    """A Deployment and the ReplicaSets that it controls."""

    deployment: Deployment
    sets: tuple[ReplicaSet, ...]
    now: datetime


@dataclass(slots=True)
class _Steps:
    """What is to be done, as it is found out."""

    actions: list[Action] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def decide(seen: Observed) -> Decision[Action]:
    """Make the new version's set, move pods to it within the limits, forget old versions, count."""
    subject, metadata = seen.deployment, seen.deployment.metadata
    ordered = sorted(seen.sets, key=lambda item: (_revision(item.metadata), item.metadata.creation_timestamp or ""))
    new = next((item for item in ordered if _template(item.spec.template) == _template(subject.spec.template)), None)
    old = [item for item in ordered if item is not new]
    steps = _Steps()
    if metadata.deletion_timestamp is None:
        _roll(seen, new, old, steps)
    status, again = _status(seen, new, old)
    patch = StatusPatch(DEPLOYMENTS, Key(metadata.namespace, metadata.name), status, subject.status)
    return Decision(tuple(steps.actions), patch, tuple(steps.events), again)


def _roll(seen: Observed, new: ReplicaSet | None, old: list[ReplicaSet], steps: _Steps) -> None:
    subject = seen.deployment
    rolling = subject.spec.strategy.rolling_update or RollingUpdate()
    recreate = subject.spec.strategy.type == "Recreate"
    surge, unavailable = limits(rolling.max_surge, rolling.max_unavailable, subject.spec.replicas)
    most = str(subject.spec.replicas + (0 if recreate else surge))
    marks = {_DESIRED: str(subject.spec.replicas), _MOST: most}
    if subject.spec.paused:
        # Versions stay as they are, but for the number of the newest.
        newest = new if new is not None else (old[-1] if old else None)
        if newest is not None and not any(item.spec.replicas for item in old if item is not newest):
            _scale(newest, subject.spec.replicas, marks, steps)
        return
    state = _version(new) if new is not None else Version(0, 0, 0)
    before = tuple(_version(item) for item in old)
    grown, shrunk = next_replicas(
        subject.spec.replicas, state, before, surge=surge, unavailable=unavailable, recreate=recreate
    )
    revision = str(max([_revision(item.metadata) for item in old], default=0) + 1)
    if new is None:
        name, obj = _new_set(seen, grown, {**marks, _REVISION: revision})
        steps.actions.append(Create(REPLICA_SETS, subject.metadata.namespace, obj, subject.metadata.uid))
        steps.events.append(
            Event(EventType.NORMAL, "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {grown}")
        )
    else:
        if not old or _revision(new.metadata) >= int(revision):
            revision = new.metadata.annotations.get(_REVISION, revision)
        _scale(new, grown, {**marks, _REVISION: revision}, steps)
    for item, wanted in zip(old, shrunk, strict=True):
        _scale(item, wanted, marks if wanted else {}, steps)
    if subject.metadata.annotations.get(_REVISION) != revision:
        key = Key(subject.metadata.namespace, subject.metadata.name)
        patch = Patch.merge({"metadata": {"annotations": {_REVISION: revision}}})
        steps.actions.append(PatchObject(DEPLOYMENTS, key, patch))
    _forget(subject, old, steps)


def _forget(subject: Deployment, old: list[ReplicaSet], steps: _Steps) -> None:
    """Delete the oldest versions over the limit that have no pods any more."""
    surplus = len(old) - subject.spec.revision_history_limit
    for item in old[: max(0, surplus)]:
        empty = item.spec.replicas == 0 and not item.status.get("replicas")
        if empty and item.status.get("observedGeneration", 0) >= item.metadata.generation:
            key = Key(item.metadata.namespace, item.metadata.name)
            steps.actions.append(Delete(REPLICA_SETS, key, item.metadata.uid))


def _scale(item: ReplicaSet, wanted: int, marks: dict[str, str], steps: _Steps) -> None:
    body: dict[str, Any] = {}
    if item.spec.replicas != wanted:
        direction = "up" if wanted > item.spec.replicas else "down"
        message = f"Scaled {direction} replica set {item.metadata.name} from {item.spec.replicas} to {wanted}"
        steps.events.append(Event(EventType.NORMAL, "ScalingReplicaSet", message))
        body["spec"] = {"replicas": wanted}
    changed = {name: value for name, value in marks.items() if item.metadata.annotations.get(name) != value}
    if changed:
        body["metadata"] = {"annotations": changed}
    if body:
        key = Key(item.metadata.namespace, item.metadata.name)
        steps.actions.append(PatchObject(REPLICA_SETS, key, Patch.merge(body)))


def _version(item: ReplicaSet) -> Version:
    return Version(item.spec.replicas, item.status.get("replicas", 0), item.status.get("availableReplicas", 0))


def _revision(metadata: ObjectMeta) -> int:
    text = metadata.annotations.get(_REVISION, "0")
    return int(text) if text.isdigit() else 0


def _template(template: dict[str, Any]) -> bytes:
    """The template in a form that can be compared: without the label that tells versions apart."""
    metadata = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != _HASH_LABEL}
    plain = {**template, "metadata": {**metadata, "labels": labels}}
    return msgspec.json.encode(plain, order="sorted")


def _new_set(seen: Observed, replicas: int, annotations: dict[str, str]) -> tuple[str, dict[str, Any]]:
    subject = seen.deployment
    digest = hashlib.sha256(_template(subject.spec.template)).digest()
    suffix = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])
    name = f"{subject.metadata.name}-{suffix}"
    template = subject.spec.template
    given = template.get("metadata") or {}
    labels = {**(given.get("labels") or {}), _HASH_LABEL: suffix}
    selector = msgspec.to_builtins(subject.spec.selector)
    selector["matchLabels"] = {**selector.get("matchLabels", {}), _HASH_LABEL: suffix}
    inherited = {
        key: value
        for key, value in subject.metadata.annotations.items()
        if key not in (_REVISION, "kubectl.kubernetes.io/last-applied-configuration")
    }
    return name, {
        "metadata": {
            "name": name,
            "namespace": subject.metadata.namespace,
            "labels": labels,
            "annotations": {**inherited, **annotations},
            "ownerReferences": [owner_reference(DEPLOYMENTS, subject)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": subject.spec.min_ready_seconds,
            "selector": selector,
            "template": {**template, "metadata": {**given, "labels": labels}},
        },
    }


def _status(seen: Observed, new: ReplicaSet | None, old: list[ReplicaSet]) -> tuple[dict[str, Any], timedelta | None]:
    subject = seen.deployment
    sets = [*old, new] if new is not None else old
    existing = sum(item.status.get("replicas", 0) for item in sets)
    ready = sum(item.status.get("readyReplicas", 0) for item in sets)
    available = sum(item.status.get("availableReplicas", 0) for item in sets)
    updated = new.status.get("replicas", 0) if new is not None else 0
    counts = {
        "replicas": existing,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(item.spec.replicas for item in sets) - available),
    }
    before = {condition["type"]: condition for condition in subject.status.get("conditions") or ()}
    rolling = subject.spec.strategy.rolling_update or RollingUpdate()
    recreate = subject.spec.strategy.type == "Recreate"
    fewer = 0 if recreate else limits(rolling.max_surge, rolling.max_unavailable, subject.spec.replicas)[1]
    enough = available >= subject.spec.replicas - fewer
    words = (
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    )
    conditions = [_condition(before.get("Available"), "Available", words, seen.now)]
    progressing, again = _progressing(seen, new, counts, before.get("Progressing"))
    if progressing is not None:
        conditions.append(progressing)
    others = [entry for kind, entry in before.items() if kind not in ("Available", "Progressing")]
    status: dict[str, Any] = {
        "observedGeneration": subject.metadata.generation,
        "conditions": [*others, *conditions],
        **{name: count for name, count in counts.items() if count},
    }
    if "collisionCount" in subject.status:
        status["collisionCount"] = subject.status["collisionCount"]
    return status, again


def _progressing(
    seen: Observed, new: ReplicaSet | None, counts: dict[str, int], before: dict[str, Any] | None
) -> tuple[dict[str, Any] | None, timedelta | None]:
    """The condition, and when the deadline is over if nothing moves until then."""
    subject = seen.deployment
    name, wanted = subject.metadata.name, subject.spec.replicas
    if new is None:
        words = ("True", "NewReplicaSetCreated", f'Created new replica set for "{name}"')
        return _condition(before, "Progressing", words, seen.now), None
    set_name = new.metadata.name
    complete = counts["updatedReplicas"] == wanted == counts["replicas"] == counts["availableReplicas"]
    if complete:
        words = ("True", "NewReplicaSetAvailable", f'ReplicaSet "{set_name}" has successfully progressed.')
        return _condition(before, "Progressing", words, seen.now), None
    moved = any(
        counts[field_name] != subject.status.get(field_name, 0)
        for field_name in ("updatedReplicas", "readyReplicas", "availableReplicas", "replicas")
    )
    done = before is not None and before["reason"] == "NewReplicaSetAvailable"
    if before is None or moved or done:
        words = ("True", "ReplicaSetUpdated", f'ReplicaSet "{set_name}" is progressing.')
        condition = _condition(before, "Progressing", words, seen.now)
        condition["lastUpdateTime"] = format_time(seen.now)
        return condition, timedelta(seconds=subject.spec.progress_deadline_seconds)
    left = parse_time(before["lastUpdateTime"]) + timedelta(seconds=subject.spec.progress_deadline_seconds) - seen.now
    if left > timedelta(0):
        return before, left
    words = ("False", "ProgressDeadlineExceeded", f'ReplicaSet "{set_name}" has timed out progressing.')
    return _condition(before, "Progressing", words, seen.now), None


def _condition(before: dict[str, Any] | None, kind: str, words: tuple[str, str, str], now: datetime) -> dict[str, Any]:
    """The condition before when nothing changed, else one with the times that changed."""
    status, reason, message = words
    if before is not None and (before["status"], before["reason"]) == (status, reason):
        return before
    same = before is not None and before["status"] == status
    moment = format_time(now)
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": moment,
        "lastTransitionTime": before["lastTransitionTime"] if same and before is not None else moment,
    }
