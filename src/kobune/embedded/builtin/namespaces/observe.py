"""Gathers what is left in a namespace that ends: every namespaced resource that can be listed and deleted."""

import asyncio
import logging
from dataclasses import dataclass

import msgspec

from kobune.api.core import Namespace
from kobune.api.meta import ObjectMeta
from kobune.base.clock import Clock
from kobune.embedded.builtin.namespaces.decide import FINALIZER, Content, Observed
from kobune.kube.client.discovery import ApiResource, discover
from kobune.kube.client.errors import NotFound
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer

__all__ = ["Observe"]

log = logging.getLogger(__name__)

_PARALLEL = 4


class _Metadata(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one namespace."""

    client: Client
    namespaces: Informer[Namespace]
    clock: Clock

    async def __call__(self, key: Key) -> Observed | None:
        """None unless the namespace ends and waits for this controller."""
        namespace = self.namespaces.get(key)
        if namespace is None or namespace.metadata.deletion_timestamp is None:
            return None
        if FINALIZER not in namespace.spec.finalizers:
            return None
        found = await discover(self.client)
        wanted = found.select(lambda resource: resource.namespaced and {"list", "delete"} <= resource.verbs)
        limit = asyncio.Semaphore(_PARALLEL)

        async def count(resource: ApiResource) -> Content:
            async with limit:
                return await self._count(resource, key.name)

        content = await asyncio.gather(*(count(resource) for resource in wanted))
        status = to_builtins(namespace.status)
        return Observed(namespace, status, tuple(content), found.failures, self.clock.now())

    async def _count(self, resource: ApiResource, namespace: str) -> Content:
        try:
            page = await self.client.list(resource.of_type(_Metadata), namespace)
        except NotFound:
            # The resource went away since it was discovered.
            return Content(resource, 0, 0, ())
        undeleted = sum(item.metadata.deletion_timestamp is None for item in page.items)
        finalizers = tuple(name for item in page.items for name in item.metadata.finalizers)
        return Content(resource, len(page.items), undeleted, finalizers)
