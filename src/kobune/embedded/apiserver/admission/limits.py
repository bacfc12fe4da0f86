"""LimitRanger: defaults, minima and maxima of pods and claims by the LimitRanges of their namespace."""

from decimal import Decimal
from typing import Any

from kobune.base.quantity import parse_quantity
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import forbidden

__all__ = ["LimitRanger"]


class LimitRanger:
    """Admission step."""

    def __init__(self, storage: Storage) -> None:
        self._ranges = storage.collection("core/limitranges")

    def _limits(self, call: Call) -> list[dict[str, Any]]:
        if not self._ranges.count(call.info.namespace):
            return []
        return [
            limit
            for item in self._ranges.select(call.info.namespace)
            for limit in (item.object().get("spec") or {}).get("limits") or ()
        ]

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Fill in requests and limits of new pods."""
        info = call.resource.info
        if obj is None or operation != "CREATE" or info.group or info.plural != "pods" or call.info.subresource:
            return
        notes = []
        for limit in self._limits(call):
            if limit.get("type") != "Container":
                continue
            spec = obj["spec"]
            for kind, name in (("containers", "container"), ("initContainers", "init container")):
                for container in spec.get(kind) or ():
                    resources = container.setdefault("resources", {})
                    for section, source in (("requests", "defaultRequest"), ("limits", "default")):
                        filled = _fill(resources, section, limit.get(source) or {})
                        if filled:
                            word = section.rstrip("s")
                            notes.append(f"{', '.join(filled)} {word} for {name} {container['name']}")
        if notes:
            annotations = obj["metadata"].setdefault("annotations", {})
            annotations["kubernetes.io/limit-ranger"] = "LimitRanger plugin set: " + "; ".join(notes)

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Refuse what is outside of the ranges."""
        info = call.resource.info
        if obj is None or info.group or call.info.subresource or operation not in ("CREATE", "UPDATE"):
            return
        if info.plural == "pods" and operation == "CREATE":
            errors = _pod_errors(obj, self._limits(call))
        elif info.plural == "persistentvolumeclaims":
            errors = _claim_errors(obj, self._limits(call))
        else:
            return
        if errors:
            text = errors[0] if len(errors) == 1 else "[" + ", ".join(errors) + "]"
            raise forbidden("", info.plural, obj["metadata"].get("name", ""), text)


def _fill(resources: dict[str, Any], section: str, defaults: dict[str, Any]) -> list[str]:
    filled = []
    for name in sorted(defaults):
        if name not in (resources.get(section) or {}):
            resources.setdefault(section, {})[name] = defaults[name]
            filled.append(name)
    return filled


def _pod_errors(pod: dict[str, Any], limits: list[dict[str, Any]]) -> list[str]:
    errors: list[str] = []
    spec = pod["spec"]
    for limit in limits:
        if limit.get("type") == "Container":
            for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
                resources = container.get("resources") or {}
                errors += _range("Container", limit, resources.get("requests") or {}, resources.get("limits") or {})
        elif limit.get("type") == "Pod":
            errors += _range("Pod", limit, _total(spec, "requests"), _total(spec, "limits"))
    return errors


def _total(spec: dict[str, Any], section: str) -> dict[str, Any]:
    total: dict[str, Decimal] = {}
    text: dict[str, Any] = {}
    for container in spec.get("containers") or ():
        for name, value in ((container.get("resources") or {}).get(section) or {}).items():
            total[name] = total.get(name, Decimal(0)) + parse_quantity(value)
            text[name] = value if total[name] == parse_quantity(value) else _shown(total[name], name)
    return text


def _shown(amount: Decimal, name: str) -> str:
    from kobune.base.quantity import format_quantity

    return format_quantity(amount, binary=name != "cpu")


def _range(kind: str, limit: dict[str, Any], requests: dict[str, Any], limits: dict[str, Any]) -> list[str]:
    errors = []
    for name, minimum in sorted((limit.get("min") or {}).items()):
        if name not in requests:
            errors.append(f"minimum {name} usage per {kind} is {minimum}.  No request is specified")
        elif parse_quantity(requests[name]) < parse_quantity(minimum):
            errors.append(f"minimum {name} usage per {kind} is {minimum}, but request is {requests[name]}")
    for name, maximum in sorted((limit.get("max") or {}).items()):
        if name not in limits:
            errors.append(f"maximum {name} usage per {kind} is {maximum}.  No limit is specified")
        elif parse_quantity(limits[name]) > parse_quantity(maximum):
            errors.append(f"maximum {name} usage per {kind} is {maximum}, but limit is {limits[name]}")
    for name, ratio in sorted((limit.get("maxLimitRequestRatio") or {}).items()):
        if name in requests and name in limits and parse_quantity(requests[name]):
            actual = parse_quantity(limits[name]) / parse_quantity(requests[name])
            if actual > parse_quantity(ratio):
                errors.append(
                    f"{name} max limit to request ratio per {kind} is {ratio}, but provided ratio is {float(actual):f}"
                )
    return errors


def _claim_errors(claim: dict[str, Any], limits: list[dict[str, Any]]) -> list[str]:
    requests = (((claim.get("spec") or {}).get("resources")) or {}).get("requests") or {}
    errors: list[str] = []
    for limit in limits:
        if limit.get("type") == "PersistentVolumeClaim":
            errors += _range("PersistentVolumeClaim", limit, requests, requests)
    return errors
