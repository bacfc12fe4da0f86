"""All collections over one revision log: loading, applying, writing, compaction."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from kobune.embedded.apiserver.registry.collection import Collection, Item, encode_object
from kobune.embedded.store import Entry, Key, RevisionLog

__all__ = ["Storage"]

log = logging.getLogger(__name__)

COMPACT_EVERY_S = 60.0
KEEP_HISTORY_S = 600.0
KEEP_ENTRIES = 50_000
"""Superseded entries kept at most, however young."""


class Storage:
    """The only user of the log. Reads are the collections', writes go through `put` and `remove`."""

    def __init__(self, revision_log: RevisionLog) -> None:
        self.log = revision_log
        self._collections: dict[str, Collection] = {}
        self._loaded = False

    @property
    def revision(self) -> int:
        """Newest durable revision, of any resource."""
        return self.log.revision

    def open(self) -> None:
        """Load everything. Raises the store's errors."""
        for entry in self.log.open():
            self.collection(entry.key.resource).apply(entry)
        for collection in self._collections.values():
            collection.forget(self.log.compacted)
        self._loaded = True
        self.log.subscribe(self._apply)

    def collection(self, resource: str) -> Collection:
        """The objects of `GROUP/PLURAL`; made empty on first use."""
        found = self._collections.get(resource)
        if found is None:
            found = self._collections[resource] = Collection(resource)
            # A resource that appears later has no history before that, like the watch cache of a real server.
            found.forget(self.log.revision if self._loaded else self.log.compacted)
        return found

    async def put(self, collection: Collection, obj: dict[str, Any], expected: int) -> Item:
        """Write an object that was at revision `expected` (0: new). Raises RevisionConflict, StoreFailed."""
        metadata = obj["metadata"]
        key = Key(collection.resource, metadata.get("namespace") or "", metadata["name"])
        entry = await self.log.append(key, expected, lambda revision: encode_object(obj, revision))
        return collection.items.get((key.namespace, key.name)) or _item(collection, entry)

    async def remove(self, collection: Collection, obj: dict[str, Any], expected: int) -> Item:
        """Delete an object; its last state is kept for watchers with the deletion's revision."""
        metadata = obj["metadata"]
        key = Key(collection.resource, metadata.get("namespace") or "", metadata["name"])
        entry = await self.log.append(key, expected, lambda revision: encode_object(obj, revision), deleted=True)
        return _item(collection, entry)

    async def compact_for_ever(self) -> None:
        """Compact by age and by number of superseded entries, once a minute."""
        samples: deque[tuple[float, int]] = deque()
        while True:
            await asyncio.sleep(COMPACT_EVERY_S)
            now = time.monotonic()
            samples.append((now, self.log.revision))
            target = 0
            while samples and (now - samples[0][0] >= KEEP_HISTORY_S or self.log.superseded > 2 * KEEP_ENTRIES):
                target = samples.popleft()[1]
                if self.log.superseded <= KEEP_ENTRIES:
                    break
            if target:
                await self.compact(target)

    async def compact(self, revision: int) -> None:
        """Forget history up to `revision`."""
        dropped = await self.log.compact(revision)
        for collection in self._collections.values():
            collection.forget(self.log.compacted)
        log.debug("compacted up to revision %d: %d entries dropped", revision, dropped)

    def _apply(self, batch: Sequence[Entry]) -> None:
        for entry in batch:
            self.collection(entry.key.resource).apply(entry)
        for resource in {entry.key.resource for entry in batch}:
            self._collections[resource].flush()


def _item(collection: Collection, entry: Entry) -> Item:
    from kobune.embedded.apiserver.registry.collection import make_head

    return Item(entry, make_head(entry.type))
