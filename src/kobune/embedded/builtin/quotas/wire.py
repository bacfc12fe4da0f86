"""Wires quotas: pods, Services and claims lead to the quotas of their namespace; the rest is counted on request."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from kobune.api.core import PersistentVolumeClaim, Pod, Service
from kobune.api.meta import ObjectMeta
from kobune.embedded.builtin.quotas.decide import QUOTAS, Observed, Quota, counted_resource, decide
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
    quotas: Informer[Quota]
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

    async def _count(self, quota: Quota) -> dict[str, int]:
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


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    by_place = {"namespace": by_namespace}
    quotas = process.informers.of(QUOTAS, indexes=by_place)
    pods = process.informers.of(PODS, indexes=by_place)
    services = process.informers.of(SERVICES, indexes=by_place)
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS, indexes=by_place)

    def quotas_of(obj: Any) -> Iterable[Key]:
        return [key_of(quota) for quota in quotas.by_index("namespace", key_of(obj).namespace)]

    def pod_matters(old: Pod | None, new: Pod | None) -> bool:
        if old is None or new is None:
            return True
        return old.spec != new.spec or old.status.phase != new.status.phase

    process.add(
        "quotas",
        primary=quotas,
        observe=Observe(process.client, quotas, pods, services, claims),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(pods, quotas_of, pod_matters), Watch(services, quotas_of), Watch(claims, quotas_of)],
        workers=2,
    )
