"""The status of a pod disruption budget. Pure.

Source: policy/v1 PodDisruptionBudget. The eviction subresource lowers `disruptionsAllowed` and notes the pod in
`disruptedPods`; this controller counts anew and forgets notes of pods that are gone, or that nobody deleted in time.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kobune.api.core import Pod
from kobune.api.meta import IntOrString, LabelSelector, Object, ObjectMeta
from kobune.base.clock import format_time, parse_time
from kobune.kube.client.resource import Key, Resource
from kobune.kube.runtime.decision import Action, Decision, StatusPatch

__all__ = ["BUDGETS", "Budget", "Observed", "decide"]

_NOTE_LIFETIME: Final = timedelta(minutes=2)


class BudgetSpec(Object, frozen=True, kw_only=True):
    """One of `min_available` and `max_unavailable`, a number or a percentage."""

    min_available: IntOrString | None = None
    max_unavailable: IntOrString | None = None
    selector: LabelSelector | None = None


class Budget(Object, frozen=True, kw_only=True):
    """A PodDisruptionBudget; its status is kept as it is written."""

    metadata: ObjectMeta = ObjectMeta()
    spec: BudgetSpec = BudgetSpec()
    status: dict[str, Any] = {}


BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, Budget)


@dataclass(frozen=True, slots=True)
class Observed:
    """A budget, the pods that it selects, and how many there should be.

    `scale` is the sum of what the pods' controllers want, None when one of them has no scale.
    """

    budget: Budget
    pods: tuple[Pod, ...]
    scale: int | None
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """Count, and write what changed. The revision guards against an eviction that happens meanwhile."""
    budget, pods = seen.budget, seen.pods
    notes, forget_at = _notes(seen)
    healthy = sum(_is_healthy(pod) and pod.metadata.name not in notes for pod in pods)
    counted = _expected(seen)
    status: dict[str, Any] = {
        **budget.status,
        "currentHealthy": healthy,
        "observedGeneration": budget.metadata.generation,
        "disruptedPods": notes,
    }
    if not notes:
        status.pop("disruptedPods")
    if counted is None:
        status |= {"disruptionsAllowed": 0, "desiredHealthy": 0, "expectedPods": len(pods)}
        problem = "a selected pod has no controller with a scale, which this kind of budget needs"
        condition = ("False", "SyncFailed", problem)
    else:
        expected, desired = counted
        allowed = max(0, healthy - desired) if expected > 0 else 0
        status |= {"disruptionsAllowed": allowed, "desiredHealthy": desired, "expectedPods": expected}
        condition = ("True", "SufficientPods", "") if allowed else ("False", "InsufficientPods", "")
    status["conditions"] = _conditions(seen, *condition)
    metadata = budget.metadata
    patch = StatusPatch(
        BUDGETS, Key(metadata.namespace, metadata.name), status, budget.status, metadata.resource_version
    )
    return Decision((), patch, requeue_after=forget_at - seen.now if forget_at is not None else None)


def _is_healthy(pod: Pod) -> bool:
    if pod.metadata.deletion_timestamp is not None:
        return False
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)


def _expected(seen: Observed) -> tuple[int, int] | None:
    """(expected pods, desired healthy ones), None when it cannot be known."""
    spec = seen.budget.spec
    if spec.max_unavailable is not None:
        if seen.scale is None:
            return None
        return seen.scale, max(0, seen.scale - _amount(spec.max_unavailable, seen.scale))
    if isinstance(spec.min_available, str):
        if seen.scale is None:
            return None
        return seen.scale, _amount(spec.min_available, seen.scale)
    return len(seen.pods), spec.min_available or 0


def _amount(value: IntOrString, total: int) -> int:
    """Percentages are rounded up."""
    if isinstance(value, int):
        return value
    return math.ceil(int(value.removesuffix("%")) * total / 100)


def _notes(seen: Observed) -> tuple[dict[str, str], datetime | None]:
    """Evicted pods that still exist and may still be on their way, and when the first of them is forgotten."""
    alive = {pod.metadata.name for pod in seen.pods if pod.metadata.deletion_timestamp is None}
    kept: dict[str, str] = {}
    ends: list[datetime] = []
    for name, moment in (seen.budget.status.get("disruptedPods") or {}).items():
        end = parse_time(moment) + _NOTE_LIFETIME
        if name in alive and end > seen.now:
            kept[name] = moment
            ends.append(end)
    return kept, min(ends, default=None)


def _conditions(seen: Observed, status: str, reason: str, message: str) -> list[dict[str, Any]]:
    before = [entry for entry in seen.budget.status.get("conditions") or () if entry["type"] == "DisruptionAllowed"]
    others = [entry for entry in seen.budget.status.get("conditions") or () if entry["type"] != "DisruptionAllowed"]
    same = before and before[0]["status"] == status
    condition = {
        "type": "DisruptionAllowed",
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": seen.budget.metadata.generation,
        "lastTransitionTime": before[0]["lastTransitionTime"] if same else format_time(seen.now),
    }
    return [*others, condition]
