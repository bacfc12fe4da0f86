"""Wires quotas: what frees something leads to the quotas of its namespace.

The API server charges `used` before it stores an object. Counting because of that charge, or of a creation, could meet
a cache without the new object and give its place away twice; so only what frees something, or a new limit, is a reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from kobune.api.core import PersistentVolumeClaim, Pod, Service
from kobune.api.core.quota import ResourceQuota
from kobune.api.meta import ObjectMeta
from kobune.embedded.builtin.quotas.decide import QUOTAS, Observed, counted_resource, decide
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS, PODS, SERVICES
from kobune.kube.client.discovery import discover
from kobune.kube.client.objects import key_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer, by_namespace
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]


class _Metadata(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one quota."""

    client: Client
    quotas: Informer[ResourceQuota]
    pods: Informer[Pod]
    services: Informer[Service]
    claims: Informer[PersistentVolumeClaim]

    async def __call__(self, key: Key) -> Observed | None:
        """None once the quota is gone."""
        quota = self.quotas.get(key)
        if quota is None or quota.metadata.deletion_timestamp is not None:
            return None
        return Observed(
            quota,
            tuple(self.pods.by_index("namespace", key.namespace)),
            tuple(self.services.by_index("namespace", key.namespace)),
            tuple(self.claims.by_index("namespace", key.namespace)),
            await self._count(quota),
        )

    async def _count(self, quota: ResourceQuota) -> dict[str, int]:
        wanted = {name: counted for name in quota.spec.hard if (counted := counted_resource(name)) is not None}
        if not wanted:
            return {}
        served = {(resource.group, resource.plural): resource for resource in (await discover(self.client)).resources}
        counts: dict[str, int] = {}
        for name, counted in wanted.items():
            resource = served.get(counted)
            if resource is not None and resource.namespaced:
                page = await self.client.list(resource.of_type(_Metadata), quota.metadata.namespace)
                counts[name] = len(page.items)
        return counts


def _is_due(old: ResourceQuota | None, new: ResourceQuota | None) -> bool:
    if new is None:
        return False
    return old is None or new.spec != old.spec or new.status.get("hard") != msgspec.to_builtins(new.spec.hard)


def _frees(old: Any, new: Any) -> bool:
    return old is not None and (new is None or old.spec != new.spec)


def _pod_frees(old: Pod | None, new: Pod | None) -> bool:
    if old is None:
        return False
    return new is None or old.spec != new.spec or old.status.phase != new.status.phase


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    by_place = {"namespace": by_namespace}
    quotas = process.informers.of(QUOTAS, indexes=by_place)
    pods = process.informers.of(PODS, indexes=by_place)
    services = process.informers.of(SERVICES, indexes=by_place)
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS, indexes=by_place)

    def quotas_of(obj: Any) -> Iterable[Key]:
        return [key_of(quota) for quota in quotas.by_index("namespace", key_of(obj).namespace)]

    process.add(
        "quotas",
        primary=quotas,
        observe=Observe(process.client, quotas, pods, services, claims),
        decide=decide,
        execute=process.writer.execute,
        changed=_is_due,
        watches=[
            Watch(pods, quotas_of, _pod_frees),
            Watch(services, quotas_of, _frees),
            Watch(claims, quotas_of, _frees),
        ],
        workers=2,
    )
