"""Rules of Nodes, Events, ControllerRevisions and HorizontalPodAutoscalers."""

import ipaddress
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_label_value, is_qualified_name

__all__ = ["autoscaler", "event", "namespace_status", "node_create", "node_update", "revision", "revision_update"]

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def node_create(obj: dict[str, Any]) -> list[FieldError]:
    """Taints and pod addresses of a node."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    seen: set[tuple[Any, Any]] = set()
    for i, taint in enumerate(spec.get("taints") or ()):
        at = f"metadata.taints[{i}]"
        key, effect = taint.get("key", ""), taint.get("effect", "")
        errors += [FieldError.invalid(f"{at}.key", key, m) for m in is_qualified_name(key)]
        errors += [FieldError.invalid(f"{at}.value", taint["value"], m) for m in is_label_value(taint.get("value", ""))]
        if not effect:
            errors.append(FieldError.required(f"{at}.effect"))
        elif effect not in _EFFECTS:
            errors.append(FieldError.not_supported(f"{at}.effect", effect, _EFFECTS))
        if (key, effect) in seen:
            errors.append(FieldError.duplicate(at, taint))
        seen.add((key, effect))
    for i, text in enumerate(spec.get("podCIDRs") or ()):
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            errors.append(FieldError.invalid(f"spec.podCIDRs[{i}]", text, "must be a valid CIDR value"))
    return errors


def node_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A node's addresses for pods and its provider's id may be set once."""
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    if old_spec.get("podCIDRs") and new_spec.get("podCIDRs") != old_spec["podCIDRs"]:
        errors.append(
            FieldError.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
        )
    elif old_spec.get("podCIDR") and new_spec.get("podCIDR") != old_spec["podCIDR"]:
        errors.append(
            FieldError.forbidden("spec.podCIDR", 'node updates may not change podCIDR except from "" to valid')
        )
    if old_spec.get("providerID") and new_spec.get("providerID") != old_spec["providerID"]:
        text = 'node updates may not change providerID except from "" to valid'
        errors.append(FieldError.forbidden("spec.providerID", text))
    return errors + node_create(obj)


def event(obj: dict[str, Any]) -> list[FieldError]:
    """An Event is in the namespace of what it is about; the newer API asks for more."""
    newer = "regarding" in obj or str(obj.get("apiVersion", "")).startswith("events.k8s.io/")
    about = obj.get("regarding" if newer else "involvedObject") or {}
    space = about.get("namespace", "")
    own = obj["metadata"].get("namespace", "")
    errors: list[FieldError] = []
    if newer and not obj.get("eventTime"):
        errors.append(FieldError.required("eventTime"))
    if space != own and not (not space and own == "default"):
        errors.append(FieldError.invalid("involvedObject.namespace", space, "does not match event.namespace"))
    if newer and obj.get("eventTime"):
        for field, shown in (
            ("reportingController", "reportingController"),
            ("reportingInstance", "reportingInstance"),
        ):
            if not obj.get(field):
                errors.append(FieldError.required(shown))
        for field in ("action", "reason"):
            if not obj.get(field):
                errors.append(FieldError.required(field))
        if obj.get("type") not in ("Normal", "Warning"):
            errors.append(
                FieldError.invalid("type", obj.get("type", ""), "has invalid value: " + str(obj.get("type", "")))
            )
    return errors


def revision(obj: dict[str, Any]) -> list[FieldError]:
    """A ControllerRevision has data and a number."""
    errors: list[FieldError] = []
    if obj.get("data") is None:
        errors.append(FieldError.required("data", "data is mandatory"))
    if obj.get("revision", 0) < 0:
        errors.append(FieldError.invalid("revision", obj["revision"], "must be greater than or equal to 0"))
    return errors


def revision_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """The data of a revision never changes."""
    errors = (
        []
        if obj.get("data") == old.get("data")
        else [FieldError.invalid("data", obj.get("data"), "field is immutable")]
    )
    return errors + revision(obj)


def autoscaler(obj: dict[str, Any]) -> list[FieldError]:
    """Bounds and target of a HorizontalPodAutoscaler."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    low, high = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if low is not None and low < 1:
        errors.append(FieldError.invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high < 1:
        errors.append(FieldError.invalid("spec.maxReplicas", high, "must be greater than 0"))
    if low is not None and high < low:
        text = "must be greater than or equal to `minReplicas`"
        errors.append(FieldError.invalid("spec.maxReplicas", high, text))
    target = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not target.get(field):
            errors.append(FieldError.required(f"spec.scaleTargetRef.{field}"))
    for i, metric in enumerate(spec.get("metrics") or ()):
        errors += _metric(metric, f"spec.metrics[{i}]")
    return errors


_METRICS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def _metric(metric: dict[str, Any], path: str) -> list[FieldError]:
    kind = metric.get("type", "")
    if not kind:
        return [FieldError.required(f"{path}.type", "must specify a metric source type")]
    if kind not in _METRICS:
        return [FieldError.not_supported(f"{path}.type", kind, sorted(_METRICS))]
    own = _METRICS[kind]
    errors: list[FieldError] = []
    if metric.get(own) is None:
        text = "must populate information for the given metric source"
        errors.append(FieldError.required(f"{path}.{own}", text))
    text = "must populate the given metric source only"
    errors += [
        FieldError.forbidden(f"{path}.{field}", text)
        for field in _METRICS.values()
        if field != own and metric.get(field) is not None
    ]
    source = metric.get(own) or {}
    if own in ("resource", "containerResource") and metric.get(own) is not None:
        if not source.get("name"):
            errors.append(FieldError.required(f"{path}.{own}.name", "must specify a resource name"))
        target = source.get("target") or {}
        raw, share = target.get("averageValue"), target.get("averageUtilization")
        at = f"{path}.{own}.target"
        if raw is None and share is None:
            text = "must set either a target raw value or a target utilization"
            errors.append(FieldError.required(f"{at}.averageUtilization", text))
        elif raw is not None and share is not None:
            text = "may not set both a target raw value and a target utilization"
            errors.append(FieldError.forbidden(f"{at}.averageValue", text))
        if share is not None and share < 1:
            errors.append(FieldError.invalid(f"{at}.averageUtilization", share, "must be greater than 0"))
    return errors


def namespace_status(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A namespace is Terminating while it is being deleted, and only then."""
    phase = (obj.get("status") or {}).get("phase") or "Active"
    ending = bool(obj["metadata"].get("deletionTimestamp"))
    wanted = "Terminating" if ending else "Active"
    if phase == wanted:
        return []
    text = f"may only be '{wanted}' if `deletionTimestamp` is {'not ' if ending else ''}empty"
    return [FieldError.invalid("status.Phase", phase, text)]
