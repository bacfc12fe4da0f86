"""Built-in kinds that are served in two shapes: Events of two groups, HorizontalPodAutoscalers of two versions.

Owns: the conversions, as pure functions, and the codec that the server asks for them. Objects are stored in one shape.
Source: the API documentation of both shapes.
"""

import json
from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.schema.decoder import decode_root

__all__ = ["autoscaler_codec", "event_codec"]

Convert = Callable[[dict[str, Any]], dict[str, Any]]


class BuiltinCodec:
    """Between the stored shape and another one. Stored bytes never go out of date."""

    since = 0

    def __init__(self, to_other: Convert, to_stored: Convert, other: str, stored: str, names: dict[str, str]) -> None:
        self._to_other = to_other
        self._to_stored = to_stored
        self._other = other
        self._stored = stored
        self._names = names
        """Definition names by apiVersion."""

    async def decode(self, objects: list[dict[str, Any]], api_version: str) -> list[dict[str, Any]]:
        """Objects in the shape of `api_version`."""
        return [self._as(obj, api_version) for obj in objects]

    async def encode(self, obj: dict[str, Any]) -> dict[str, Any]:
        """An object in the stored shape."""
        return self._as(obj, self._stored)

    def _as(self, obj: dict[str, Any], api_version: str) -> dict[str, Any]:
        if obj.get("apiVersion") == api_version:
            return obj
        converted = (self._to_other if api_version == self._other else self._to_stored)(obj)
        converted["apiVersion"] = api_version
        decode_root(self._names[api_version], converted, [])
        return converted


def _renamed(obj: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in obj.items()}


_EVENT_FIELDS = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_EVENT_BACK = {value: key for key, value in _EVENT_FIELDS.items()}


def event_codec() -> BuiltinCodec:
    """Events are stored as core/v1's."""
    return BuiltinCodec(
        lambda obj: _renamed(obj, _EVENT_FIELDS),
        lambda obj: _renamed(obj, _EVENT_BACK),
        "events.k8s.io/v1",
        "v1",
        {"events.k8s.io/v1": "io.k8s.api.events.v1.Event", "v1": "io.k8s.api.core.v1.Event"},
    )


_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"


def _is_cpu(metric: dict[str, Any]) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" and "averageUtilization" in target


def _pack(annotations: dict[str, str], name: str, value: Any) -> None:
    if value:
        annotations[name] = json.dumps(value, separators=(",", ":"))


def _unpack(annotations: dict[str, str], name: str) -> Any:
    try:
        return json.loads(annotations.pop(name, "null"))
    except ValueError:
        return None


def _with_annotations(obj: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    meta = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "annotations"}
    if annotations:
        meta["annotations"] = annotations
    return meta


def _older(obj: dict[str, Any]) -> dict[str, Any]:
    """autoscaling/v2 as v1: what v1 has no field for goes into annotations."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict((obj.get("metadata") or {}).get("annotations") or {})
    metrics = spec.pop("metrics", None) or []
    cpu = next((m for m in metrics if _is_cpu(m)), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    _pack(annotations, _METRICS, [m for m in metrics if m is not cpu])
    _pack(annotations, _BEHAVIOR, spec.pop("behavior", None))
    _pack(annotations, _CONDITIONS, status.pop("conditions", None))
    _pack(annotations, _CURRENT, status.pop("currentMetrics", None))
    return {**obj, "metadata": _with_annotations(obj, annotations), "spec": spec, "status": status}


def _newer(obj: dict[str, Any]) -> dict[str, Any]:
    """autoscaling/v1 as v2."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict((obj.get("metadata") or {}).get("annotations") or {})
    metrics = _unpack(annotations, _METRICS) or []
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}, *metrics]
    for place, field, value in (
        (spec, "metrics", metrics),
        (spec, "behavior", _unpack(annotations, _BEHAVIOR)),
        (status, "conditions", _unpack(annotations, _CONDITIONS)),
        (status, "currentMetrics", _unpack(annotations, _CURRENT)),
    ):
        if value:
            place[field] = value
    status.pop("currentCPUUtilizationPercentage", None)
    return {**obj, "metadata": _with_annotations(obj, annotations), "spec": spec, "status": status}


def autoscaler_codec() -> BuiltinCodec:
    """HorizontalPodAutoscalers are stored as autoscaling/v2's."""
    prefix = "io.k8s.api.autoscaling."
    return BuiltinCodec(
        _older,
        _newer,
        "autoscaling/v1",
        "autoscaling/v2",
        {f"autoscaling/{v}": f"{prefix}{v}.HorizontalPodAutoscaler" for v in ("v1", "v2")},
    )
