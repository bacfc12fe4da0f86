"""Watches everything that can be owned, feeds the graph, and works on what it says.

Owns: the watches, which follow discovery (custom resources come and go), the queue and its workers.
Sizes: 8 workers; discovery is read again when a CustomResourceDefinition or APIService changes, and every 30 s.
"""

import asyncio
import logging
from typing import Any, Final

from kobune.base.errors import KobuneError
from kobune.embedded.builtin.garbage.decide import decide
from kobune.embedded.builtin.garbage.graph import Graph, Node
from kobune.embedded.builtin.garbage.observe import Metadata, Observe
from kobune.kube.client.discovery import ApiResource, discover
from kobune.kube.client.errors import Conflict
from kobune.kube.client.objects import metadata_of, uid_of
from kobune.kube.client.resource import Resource
from kobune.kube.informer import Informer
from kobune.kube.runtime import ControllerProcess, WorkQueue

__all__ = ["GarbageCollector"]

log = logging.getLogger(__name__)

WORKERS: Final = 8
REFRESH_S: Final = 30.0
SETTLE_S: Final = 0.5

_IGNORED: Final = frozenset({("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases")})
"""Nobody owns them or is owned by them in earnest, and they change all the time."""

_DEFINITIONS: Final[Resource[Any]] = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False, Metadata
)


class GarbageCollector:
    """Runs beside the controllers of a process, with its client and writer."""

    def __init__(self, process: ControllerProcess) -> None:
        self._process = process
        self.graph = Graph()
        self.queue: WorkQueue[str] = WorkQueue(clock=process.clock)
        self._kinds: dict[tuple[str, str], ApiResource] = {}
        # No task: the informer is shared with a controller, which looks after it.
        self._watching: dict[ApiResource, tuple[Informer[Any], asyncio.Task[None] | None]] = {}
        self._stale = asyncio.Event()
        self._observe = Observe(process.client, self.graph, self._find_kind)
        process.informers.of(_DEFINITIONS).add_handler(lambda _old, _new: self._stale.set())

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_discovery(group), name="garbage discovery")
            # Owners must be known before their absence means anything; it is checked in the API all the same.
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"garbage {number}")

    def _find_kind(self, api_version: str, kind: str) -> ApiResource | None:
        return self._kinds.get((_group_of(api_version), kind))

    async def _follow_discovery(self, group: asyncio.TaskGroup) -> None:
        delay_s = 0.2
        while True:
            self._stale.clear()
            try:
                await self._refresh(group)
                delay_s = REFRESH_S
            except KobuneError as error:
                log.warning("garbage collection cannot read discovery: %s", error)
                delay_s = min(delay_s * 2, REFRESH_S)
            try:
                async with asyncio.timeout(delay_s):
                    await self._stale.wait()
                # A definition is established a moment after it was written.
                await asyncio.sleep(SETTLE_S)
            except TimeoutError:
                pass

    async def _refresh(self, group: asyncio.TaskGroup) -> None:
        found = await discover(self._process.client)
        failed = {where.partition("/")[0] for where, _ in found.failures}
        wanted = {
            resource
            for resource in found.select(lambda resource: {"list", "watch", "delete", "get"} <= resource.verbs)
            if (resource.group, resource.plural) not in _IGNORED
        }
        before = self._kinds
        self._kinds = {(resource.group, resource.kind): resource for resource in wanted}
        for resource in [known for known in self._watching if known not in wanted and known.group not in failed]:
            informer, task = self._watching.pop(resource)
            if task is not None:
                task.cancel()
            for item in informer.list():
                self._forget(item)
        for resource in sorted(wanted - self._watching.keys(), key=lambda resource: (resource.group, resource.plural)):
            shared = self._process.informers.find(resource.group, resource.plural)
            if shared is not None:
                shared.add_handler(self._handler(resource))
                self._watching[resource] = (shared, None)
                continue
            own = Informer(self._process.client, resource.of_type(Metadata), clock=self._process.clock)
            own.add_handler(self._handler(resource))
            self._watching[resource] = (own, group.create_task(own.run(), name=f"garbage {resource.plural}"))
        # Owners of a kind that was unknown counted as alive; now they can be looked up.
        for node, owner in self.graph.missing_owners():
            kind = (_group_of(owner.api_version), owner.kind)
            if kind in self._kinds and kind not in before:
                self.queue.add(node.uid)

    def _handler(self, resource: ApiResource) -> Any:
        def handle(old: object | None, new: object | None) -> None:
            if new is not None:
                self._enqueue(self.graph.put(Node.of(resource, metadata_of(new))))
            elif old is not None:
                self._forget(old)

        return handle

    def _forget(self, item: object) -> None:
        self._enqueue(self.graph.remove(uid_of(item)))

    def _enqueue(self, uids: Any) -> None:
        for uid in uids:
            self.queue.add(uid)

    async def _work(self) -> None:
        while (uid := await self.queue.get()) is not None:
            try:
                await self._collect(uid)
                self.queue.forget(uid)
            except Conflict as error:
                log.debug("garbage %s: %s", uid, error)
                self.queue.add_failed(uid)
            except KobuneError as error:
                delay_s = self.queue.add_failed(uid)
                log.warning("garbage %s: %s; again in %.1f s", self.graph.get(uid), error, delay_s)
            except Exception:
                log.exception("garbage %s", self.graph.get(uid))
                self.queue.add_failed(uid)
            finally:
                self.queue.done(uid)

    async def _collect(self, uid: str) -> None:
        seen = await self._observe(uid)
        if seen is None:
            return
        decision = decide(seen)
        for action in decision.actions:
            log.debug("garbage: %s", action)
            await self._process.writer.execute(action)


def _group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]
