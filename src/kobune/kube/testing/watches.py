"""What watchers of the in-memory API are told, and when.

Owns: following the history from a revision as one watcher sees it, and what tests do to watches: holding them back and
breaking them. Must not: change objects.
"""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from kobune.kube.client.errors import Unavailable
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import WatchEvent, WatchEventType
from kobune.kube.testing.selection import Selects, collection_of, decode
from kobune.kube.testing.store import Change, Store

__all__ = ["Watches"]

T = TypeVar("T")


class Watches:
    """All watches of one in-memory API."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news = asyncio.Event()
        self._held: set[str] = set()
        self._epoch = 0

    def announce(self) -> None:
        """Something was written."""
        self._news.set()
        self._news = asyncio.Event()

    def disconnect(self) -> None:
        """Break every watch that is open now."""
        self._epoch += 1
        self.announce()

    def hold(self, plural: str) -> None:
        """Keep watches of a resource open but silent."""
        self._held.add(plural)

    def release(self, plural: str) -> None:
        """Deliver what was held back."""
        self._held.discard(plural)
        self.announce()

    async def follow(
        self, resource: Resource[T], selects: Selects, resource_version: str, timeout_s: float
    ) -> AsyncIterator[WatchEvent[T]]:
        """See `Client.watch`. Raises Expired for a revision that is too old, Unavailable when it is disconnected."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        position, epoch = 0, self._epoch
        if resource_version in ("", "0"):
            after = self._store.revision
            for document in list(self._store.objects(collection_of(resource)).values()):
                if selects(document):
                    version = document["metadata"]["resourceVersion"]
                    yield WatchEvent(WatchEventType.ADDED, decode(resource, document), version)
        else:
            after = int(resource_version)
            self._store.changes(collection_of(resource), after, 0)  # refuses what is too old
        while True:
            # Taken before the history is read: what happens while the caller holds an event must not be missed.
            news = self._news
            if epoch != self._epoch:
                raise Unavailable(0, "ConnectionFailed", "the watch was disconnected")
            if resource.plural not in self._held:
                oldest = max(after, self._store.oldest)
                changes, position = self._store.changes(collection_of(resource), oldest, position)
                for change in changes:
                    event = _event(resource, change, selects)
                    if event is not None:
                        yield event
                if changes:
                    after = max(after, changes[-1].revision)
            remaining_s = deadline_s - asyncio.get_running_loop().time()
            if remaining_s <= 0:
                if resource.plural not in self._held:
                    yield WatchEvent(WatchEventType.BOOKMARK, None, str(self._store.revision))
                return
            await _wait(news, remaining_s)


def _event(resource: Resource[T], change: Change, selects: Selects) -> WatchEvent[T] | None:
    """The event of a change as one watcher sees it: objects enter and leave a selection."""
    was = change.old is not None and selects(change.old)
    now = change.new is not None and selects(change.new)
    version = str(change.revision)
    if now and change.new is not None:
        kind = WatchEventType.MODIFIED if was else WatchEventType.ADDED
        return WatchEvent(kind, decode(resource, change.new), version)
    if was and change.old is not None:
        last: dict[str, Any] = copy.deepcopy(change.last or change.old)
        last["metadata"]["resourceVersion"] = version
        return WatchEvent(WatchEventType.DELETED, decode(resource, last), version)
    return None


async def _wait(news: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await news.wait()
    except TimeoutError:
        return
