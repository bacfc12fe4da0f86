"""The informers of one process, shared.

Owns: that two controllers that watch the same thing share one cache, and running them all.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from kobune.base.clock import Clock
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.kube.informer.cache import IndexFunction
from kobune.kube.informer.informer import Informer

__all__ = ["InformerPool"]

T = TypeVar("T")


class InformerPool:
    """Gives the same informer for the same resource, namespace and selectors; `run` keeps all of them fresh."""

    def __init__(self, client: Client, *, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock
        self._informers: dict[tuple[str, ...], Informer[Any]] = {}
        self._group: asyncio.TaskGroup | None = None

    def of(
        self,
        resource: Resource[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexFunction] | None = None,
    ) -> Informer[T]:
        """The informer of that selection, made at the first call; while `run` is active it starts at once."""
        identity = (
            *(resource.group, resource.version, resource.plural, resource.type.__qualname__),
            *(namespace, label_selector, field_selector),
        )
        informer = self._informers.get(identity)
        if informer is None:
            informer = Informer(
                self._client,
                resource,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                clock=self._clock,
            )
            self._informers[identity] = informer
            if self._group is not None:
                self._group.create_task(informer.run(), name=f"informer {resource.plural}")
        for name, function in (indexes or {}).items():
            informer.add_index(name, function)
        return cast(Informer[T], informer)

    def find(self, group: str, plural: str) -> Informer[Any] | None:
        """An informer of all objects of that resource, of whatever type, if there is one."""
        for informer in self._informers.values():
            selection = informer.namespace or informer.label_selector or informer.field_selector
            if (informer.resource.group, informer.resource.plural) == (group, plural) and not selection:
                return informer
        return None

    def __iter__(self) -> Iterator[Informer[Any]]:
        return iter(list(self._informers.values()))

    async def run(self) -> None:
        """Run every informer until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for informer in self._informers.values():
                    group.create_task(informer.run(), name=f"informer {informer.resource.plural}")
                await asyncio.Event().wait()
            finally:
                self._group = None

    async def wait_synced(self, timeout_s: float = 60.0) -> None:
        """Wait for the first list of all. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            for informer in list(self._informers.values()):
                await informer.wait_synced(timeout_s)
