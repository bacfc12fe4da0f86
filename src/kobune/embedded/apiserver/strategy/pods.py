"""Pods: phase and QoS class at birth, graceful deletion."""

from typing import Any

from kobune.base.quantity import QuantityError, parse_quantity
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.strategy.base import Strategy

__all__ = ["PodStrategy", "qos_class"]


class PodStrategy(Strategy):
    """The strategy of pods."""

    generation = True
    returns_deleted = True
    graceful = True

    def prepare_create(self, info: ResourceInfo, obj: dict[str, Any]) -> None:
        """A new pod is Pending."""
        super().prepare_create(info, obj)
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj.get("spec") or {})}

    def grace_period_s(self, obj: dict[str, Any], asked: int | None) -> int:
        """As asked, else the pod's own; none for a pod that runs nowhere."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        grace = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30)
        if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
            return 0
        return max(int(grace), 0) if grace >= 0 else 1


def qos_class(spec: dict[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort, by requests and limits of cpu and memory (Kubernetes' QoS rules)."""
    requests: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    guaranteed = True
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container.get("resources") or {}
        for kind, totals in (("requests", requests), ("limits", limits)):
            for name, value in (resources.get(kind) or {}).items():
                if name in ("cpu", "memory") and _positive(value):
                    totals[name] = totals.get(name, 0) + parse_quantity(value)
        own = resources.get("limits") or {}
        if not all(name in own and _positive(own[name]) for name in ("cpu", "memory")):
            guaranteed = False
    if not requests and not limits:
        return "BestEffort"
    if guaranteed and all(requests.get(name, limits[name]) == limits[name] for name in limits):
        return "Guaranteed"
    return "Burstable"


def _positive(value: Any) -> bool:
    try:
        return parse_quantity(value) > 0
    except QuantityError:
        return False
