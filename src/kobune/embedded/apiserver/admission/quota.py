"""ResourceQuota: a create (or growth) must fit into every quota of its namespace, and is charged before it is stored.

Owns: the charge; what an object uses is `kobune.api.core.quota`'s.
The controller counts anew and corrects what was charged for objects that were never stored.
Source: the Kubernetes documentation of resource quotas.
"""

from typing import Any

import msgspec

from kobune.api.core import Pod
from kobune.api.core.quota import Amounts, ResourceQuotaSpec, counts, object_usage
from kobune.base.quantity import parse_quantity
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import StatusError, forbidden
from kobune.embedded.store import RevisionConflict

__all__ = ["QuotaCheck"]

_RETRIES = 16
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


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
        delta = object_usage(info.group, info.plural, obj)
        if old is not None:
            delta = delta.beyond(object_usage(info.group, info.plural, old))
        if not delta.values:
            return
        pod = msgspec.convert(obj, Pod) if (info.group, info.plural) == ("", "pods") else None
        for item in list(self._quotas.select(call.info.namespace)):
            await self._charge(call, item.name, obj, pod, delta)

    async def _charge(self, call: Call, name: str, obj: dict[str, Any], pod: Pod | None, delta: Amounts) -> None:
        for _ in range(_RETRIES):
            item = self._quotas.get(call.info.namespace, name)
            if item is None:
                return
            quota = item.object()
            spec = msgspec.convert(quota.get("spec") or {}, ResourceQuotaSpec)
            if not counts(spec, pod):
                return
            hard = spec.hard
            counted = delta.only(hard)
            self._require_stated(call, name, hard, obj)
            if not counted.values:
                return
            status = quota.setdefault("status", {})
            used = status.setdefault("used", {})
            limits = status.get("hard") or hard
            _check(call, name, obj, counted, used, limits)
            total = Amounts()
            for resource in counted.values:
                total.add(resource, used.get(resource, "0"))
            total.add_all(counted)
            used.update(total.render(counted.values))
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
    call: Call, name: str, obj: dict[str, Any], counted: Amounts, used: dict[str, Any], limits: dict[str, Any]
) -> None:
    over = [
        resource
        for resource, amount in counted.values.items()
        if resource in limits and parse_quantity(used.get(resource, "0")) + amount > parse_quantity(limits[resource])
    ]
    if not over:
        return
    over.sort()
    asked = counted.render(over)
    requested = ",".join(f"{r}={asked[r]}" for r in over)
    spent = ",".join(f"{r}={used.get(r, '0')}" for r in over)
    limited = ",".join(f"{r}={limits[r]}" for r in over)
    info = call.resource.info
    detail = f"exceeded quota: {name}, requested: {requested}, used: {spent}, limited: {limited}"
    raise forbidden(info.group, info.plural, obj["metadata"].get("name", ""), detail)


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    spec = pod.get("spec") or {}
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
