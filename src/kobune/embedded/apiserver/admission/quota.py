"""ResourceQuota: a create (or growth) must fit into every quota of its namespace, and is charged before it is stored.

Owns: the charge. The controller counts anew and corrects what was charged for objects that were never stored.
Source: the Kubernetes documentation of resource quotas.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kobune.base.quantity import format_quantity, parse_quantity
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import StatusError, forbidden
from kobune.embedded.store import RevisionConflict

__all__ = ["QuotaCheck", "usage"]

_RETRIES = 16
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
Usage = dict[str, Decimal]


class QuotaCheck:
    """Admission step; runs last, so that only admitted objects are charged."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._quotas = storage.collection("core/resourcequotas")

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Nothing."""

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Charge all quotas that count the object. Raises StatusError 403."""
        info = call.resource.info
        if obj is None or not info.namespaced or call.info.subresource or operation not in ("CREATE", "UPDATE"):
            return
        if not self._quotas.count(call.info.namespace):
            return
        wanted = usage(info.group, info.plural, obj)
        before = usage(info.group, info.plural, old) if old is not None else {}
        delta = {name: amount - before.get(name, Decimal(0)) for name, amount in wanted.items()}
        delta = {name: amount for name, amount in delta.items() if amount > 0}
        if not delta:
            return
        for item in list(self._quotas.select(call.info.namespace)):
            await self._charge(call, item.name, obj, delta)

    async def _charge(self, call: Call, name: str, obj: dict[str, Any], delta: Usage) -> None:
        for _ in range(_RETRIES):
            item = self._quotas.get(call.info.namespace, name)
            if item is None:
                return
            quota = item.object()
            if not _in_scope(quota, call.resource.info.plural, obj):
                return
            hard = (quota.get("spec") or {}).get("hard") or {}
            counted = {resource: amount for resource, amount in delta.items() if resource in hard}
            self._require_stated(call, name, hard, obj)
            if not counted:
                return
            status = quota.setdefault("status", {})
            used = status.setdefault("used", {})
            limits = status.get("hard") or hard
            _check(call, name, obj, counted, used, limits)
            for resource, amount in counted.items():
                used[resource] = _text(parse_quantity(used.get(resource, "0")) + amount, resource)
            if call.dry_run:
                return
            try:
                await self._storage.put(self._quotas, quota, item.revision)
                return
            except RevisionConflict:
                await self._storage.log.settle()
        raise StatusError(409, "Conflict", f"quota {name} is changing too fast; try again")

    def _require_stated(self, call: Call, name: str, hard: dict[str, Any], obj: dict[str, Any]) -> None:
        """A pod must say how much it wants of what is limited."""
        if call.resource.info.plural != "pods" or call.resource.info.group:
            return
        missing: dict[str, list[str]] = {}
        for container in _containers(obj):
            resources = container.get("resources") or {}
            for resource in hard:
                section, _, plain = resource.partition(".")
                if resource in _COMPUTE:
                    section, plain = "requests", resource
                if (
                    section in ("requests", "limits")
                    and plain in _COMPUTE
                    and plain not in (resources.get(section) or {})
                ):
                    missing.setdefault(resource, []).append(container["name"])
        if missing:
            listed = "; ".join(f"{resource} for: {','.join(missing[resource])}" for resource in sorted(missing))
            raise self._refused(call, obj, f"failed quota: {name}: must specify {listed}")

    @staticmethod
    def _refused(call: Call, obj: dict[str, Any], detail: str) -> StatusError:
        info = call.resource.info
        return forbidden(info.group, info.plural, obj["metadata"].get("name", ""), detail)


def _check(
    call: Call, name: str, obj: dict[str, Any], counted: Usage, used: dict[str, Any], limits: dict[str, Any]
) -> None:
    over = [
        resource
        for resource, amount in counted.items()
        if resource in limits and parse_quantity(used.get(resource, "0")) + amount > parse_quantity(limits[resource])
    ]
    if not over:
        return
    over.sort()
    requested = ",".join(f"{r}={_text(counted[r], r)}" for r in over)
    spent = ",".join(f"{r}={used.get(r, '0')}" for r in over)
    limited = ",".join(f"{r}={limits[r]}" for r in over)
    info = call.resource.info
    detail = f"exceeded quota: {name}, requested: {requested}, used: {spent}, limited: {limited}"
    raise forbidden(info.group, info.plural, obj["metadata"].get("name", ""), detail)


def usage(group: str, plural: str, obj: dict[str, Any]) -> Usage:
    """What one object uses, by the names that quotas have for it."""
    found: Usage = {f"count/{plural}.{group}" if group else f"count/{plural}": Decimal(1)}
    if group:
        return found
    spec = obj.get("spec") or {}
    match plural:
        case "pods":
            if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                return {}
            found["pods"] = Decimal(1)
            _add_pod(found, obj)
        case "services":
            found["services"] = Decimal(1)
            if spec.get("type") == "LoadBalancer":
                found["services.loadbalancers"] = Decimal(1)
            if spec.get("type") in ("NodePort", "LoadBalancer"):
                found["services.nodeports"] = Decimal(len(spec.get("ports") or ()))
        case "persistentvolumeclaims":
            found["persistentvolumeclaims"] = Decimal(1)
            size = parse_quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0"))
            found["requests.storage"] = size
            if spec.get("storageClassName"):
                prefix = f"{spec['storageClassName']}.storageclass.storage.k8s.io/"
                found[prefix + "requests.storage"] = size
                found[prefix + "persistentvolumeclaims"] = Decimal(1)
        case "configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas":
            found[plural] = Decimal(1)
    return found


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    spec = pod.get("spec") or {}
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def _add_pod(found: Usage, pod: dict[str, Any]) -> None:
    spec = pod.get("spec") or {}
    for section in ("requests", "limits"):
        total = _sum(spec.get("containers") or (), section)
        sidecars: Usage = {}
        peak: Usage = {}
        for container in spec.get("initContainers") or ():
            own = _sum([container], section)
            if container.get("restartPolicy") == "Always":
                sidecars = _plus(sidecars, own)
                own = {}
            for name, amount in _plus(own, sidecars).items():
                peak[name] = max(peak.get(name, Decimal(0)), amount)
        total = _plus(total, sidecars)
        for name in {*total, *peak}:
            amount = max(total.get(name, Decimal(0)), peak.get(name, Decimal(0)))
            found[f"{section}.{name}"] = amount
            if section == "requests" and name in _COMPUTE:
                found[name] = amount


def _sum(containers: Iterable[dict[str, Any]], section: str) -> Usage:
    total: Usage = {}
    for container in containers:
        for name, value in ((container.get("resources") or {}).get(section) or {}).items():
            total[name] = total.get(name, Decimal(0)) + parse_quantity(value)
    return total


def _plus(one: Usage, other: Usage) -> Usage:
    return {name: one.get(name, Decimal(0)) + other.get(name, Decimal(0)) for name in {*one, *other}}


def _in_scope(quota: dict[str, Any], plural: str, obj: dict[str, Any]) -> bool:
    spec = quota.get("spec") or {}
    scopes = [(scope, "Exists", ()) for scope in spec.get("scopes") or ()]
    for entry in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        scopes.append((entry["scopeName"], entry["operator"], tuple(entry.get("values") or ())))
    if not scopes:
        return True
    return plural == "pods" and all(_scope(obj, *scope) for scope in scopes)


def _scope(pod: dict[str, Any], scope: str, operator: str, values: tuple[str, ...]) -> bool:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    match scope:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return status.get("qosClass") == "BestEffort"
        case "NotBestEffort":
            return status.get("qosClass") != "BestEffort"
        case "PriorityClass":
            own = spec.get("priorityClassName") or ""
            return {
                "In": own in values,
                "NotIn": own not in values,
                "Exists": bool(own),
                "DoesNotExist": not own,
            }[operator]
    return False


def _text(amount: Decimal, resource: str) -> str:
    return format_quantity(amount, binary="memory" in resource or "storage" in resource)
