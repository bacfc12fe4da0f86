"""Looks at one object and its owners in the API itself: the graph only says where to look.

A deletion cannot be taken back, so nothing is deleted on the word of a cache.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from kobune.api.meta import ObjectMeta, OwnerReference
from kobune.embedded.builtin.garbage.decide import Observed, OwnerState
from kobune.embedded.builtin.garbage.graph import FOREGROUND, Graph, Node
from kobune.kube.client.discovery import ApiResource
from kobune.kube.client.errors import NotFound
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key

__all__ = ["Metadata", "Observe"]


class Metadata(msgspec.Struct, frozen=True):
    """Any object, without its content."""

    metadata: ObjectMeta = ObjectMeta()


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one object by uid."""

    client: Client
    graph: Graph
    find_kind: Callable[[str, str], ApiResource | None]
    """The resource of an apiVersion and kind, None when none is served."""

    async def __call__(self, uid: str) -> Observed | None:
        """None when the object is gone; the graph will hear of it."""
        node = self.graph.get(uid)
        if node is None:
            return None
        metadata = await self._read(node.resource, node.key)
        if metadata is None or metadata.uid != uid:
            return None
        fresh = Node.of(node.resource, metadata)
        owners: tuple[tuple[OwnerReference, OwnerState], ...] = ()
        if not fresh.deleting:
            states = await asyncio.gather(*(self._state(fresh, owner) for owner in fresh.owners))
            owners = tuple(zip(fresh.owners, states, strict=True))
        return Observed(fresh, metadata.resource_version, owners, tuple(self.graph.dependents_of(uid)))

    async def _read(self, resource: ApiResource, key: Key) -> ObjectMeta | None:
        try:
            return (await self.client.get(resource.of_type(Metadata), key.name, key.namespace)).metadata
        except NotFound:
            return None

    async def _state(self, node: Node, owner: OwnerReference) -> OwnerState:
        known = self.graph.get(owner.uid)
        if known is not None and not known.deleting:
            return OwnerState.ALIVE
        resource = self.find_kind(owner.api_version, owner.kind)
        if resource is None or (resource.namespaced and not node.key.namespace):
            # A kind that nobody serves, or an owner that cannot be: no proof that it is gone.
            return OwnerState.ALIVE
        metadata = await self._read(resource, Key(node.key.namespace if resource.namespaced else "", owner.name))
        if metadata is None or metadata.uid != owner.uid:
            return OwnerState.GONE
        waiting = metadata.deletion_timestamp is not None and FOREGROUND in metadata.finalizers
        return OwnerState.WAITING if waiting else OwnerState.ALIVE
