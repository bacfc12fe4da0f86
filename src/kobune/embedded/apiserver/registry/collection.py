"""The objects of one resource in memory, and what happened to them lately: the watch cache.

Owns: stored bytes per object, their order, the history that watches resume from, the set of watchers. Everything runs
in the event loop's thread; changes arrive in revision order from the log's subscription.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol

import msgspec

from kobune.embedded.store import Compacted, Entry

__all__ = ["Change", "Collection", "Item", "Watcher", "encode_object"]

HISTORY_ENTRIES = 10_000
HISTORY_BYTES = 32 * 1024 * 1024
FRAMED_ENTRIES = 64
FRAMED_BYTES = 128 * 1024
"""Of the newest changes' bodies: what is kept serialised for watchers."""

_decode = msgspec.json.decode
_encode = msgspec.json.encode


class _Labels(msgspec.Struct):
    labels: dict[str, str] | None = None


class _OnlyLabels(msgspec.Struct):
    metadata: _Labels


_labels_decoder = msgspec.json.Decoder(_OnlyLabels)
_NO_LABELS: dict[str, str] = {}


class Item:
    """One revision of one object. `head` opens the JSON with apiVersion and kind as stored; `body` is the rest."""

    __slots__ = ("_fields", "_labels", "body", "created", "head", "name", "namespace", "revision", "type")

    def __init__(self, entry: Entry, head: bytes) -> None:
        self.namespace = entry.key.namespace
        self.name = entry.key.name
        self.revision = entry.revision
        self.created = entry.created
        self.type = entry.type
        self.head = head
        self.body = entry.body
        self._labels: dict[str, str] | None = None
        self._fields: dict[str, str] | None = None

    @property
    def labels(self) -> dict[str, str]:
        """The object's labels; not to be changed."""
        if self._labels is None:
            self._labels = _labels_decoder.decode(b"{" + self.body).metadata.labels or _NO_LABELS
        return self._labels

    def object(self) -> dict[str, Any]:
        """A fresh decoded copy, the caller's to change."""
        obj: dict[str, Any] = _decode(self.head + self.body)
        return obj

    def field(self, path: str) -> str:
        """The text of a selectable field; empty when it is not set."""
        if path == "metadata.name":
            return self.name
        if path == "metadata.namespace":
            return self.namespace
        if self._fields is None:
            self._fields = {}
        found = self._fields.get(path)
        if found is None:
            found = self._fields[path] = _field_text(self.object(), path)
        return found


def _field_text(value: Any, path: str) -> str:
    for part in path.split("."):
        if not isinstance(value, dict):
            return ""
        value = value.get(part)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


class Change:
    """One event of the history. `item` is the state after it (the last state, for a deletion), `previous` before."""

    __slots__ = ("deleted", "frames", "item", "previous", "revision")

    def __init__(self, revision: int, item: Item, previous: Item | None, deleted: bool) -> None:
        self.revision = revision
        self.item = item
        self.previous = previous
        self.deleted = deleted
        self.frames: dict[Any, bytes] = {}
        """Serialised forms shared by all watchers that want the same one."""


class Watcher(Protocol):
    """Gets changes. `namespace` is empty for all."""

    namespace: str

    def deliver(self, change: Change) -> None:
        """A change, in order; must not raise or block. A watcher that has queued something puts itself on `dirty`."""
        ...

    def flush(self) -> None:
        """Send what was queued."""
        ...


class Collection:
    """All objects of one resource, whatever versions it is served in. `resource` is the log's key prefix."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.items: dict[tuple[str, str], Item] = {}
        self._order: list[tuple[str, str]] = []
        self._history: deque[Change] = deque()
        self._history_bytes = 0
        self._framed: deque[Change] = deque()
        self._framed_bytes = 0
        self._start = 0  # changes after this revision are in the history
        self._watchers: dict[str, dict[Watcher, None]] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self.dirty: list[Watcher] = []
        """Watchers that have something to send."""
        self._heads: dict[str, bytes] = {}
        self.revision = 0
        """Revision of the newest change."""

    def __len__(self) -> int:
        return len(self.items)

    def get(self, namespace: str, name: str) -> Item | None:
        """The newest durable state of an object."""
        return self.items.get((namespace, name))

    def select(self, namespace: str = "", after: tuple[str, str] | None = None, limit: int = 0) -> Iterator[Item]:
        """Objects in key order; of one namespace, or of all when it is empty; only those behind `after`.

        At most `limit` of them when that is not 0.
        """
        start, end = self._span(namespace, after)
        if limit:
            end = min(end, start + limit)
        # All at once: faster than one by one, and a deletion while the caller waits in between does no harm.
        return iter([*map(self.items.__getitem__, self._order[start:end])])

    def matching(
        self, namespace: str, after: tuple[str, str] | None, limit: int, matches: Callable[[Item], bool]
    ) -> list[Item]:
        """The first `limit` objects (0: all) of a selection, in key order; looks at no more than it has to."""
        start, end = self._span(namespace, after)
        found: list[Item] = []
        for key in islice(self._order, start, end):
            item = self.items[key]
            if matches(item):
                found.append(item)
                if len(found) == limit:
                    break
        return found

    def _span(self, namespace: str, after: tuple[str, str] | None = None) -> tuple[int, int]:
        """Where in the order a namespace's objects behind `after` begin and end."""
        order = self._order
        start = bisect_left(order, (namespace, "")) if namespace else 0
        if after is not None:
            start = max(start, bisect_left(order, (after[0], after[1] + "\0")))
        return start, bisect_left(order, (namespace + "\0", "")) if namespace else len(order)

    def count(self, namespace: str = "", after: tuple[str, str] | None = None) -> int:
        """How many objects `select` would give."""
        start, end = self._span(namespace, after)
        return max(0, end - start)

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` with every change, before watchers get it (indexes inside of the server)."""
        self._listeners.append(listener)

    def watch(self, watcher: Watcher) -> None:
        """Deliver coming changes to `watcher`."""
        self._watchers.setdefault(watcher.namespace, {})[watcher] = None

    def unwatch(self, watcher: Watcher) -> None:
        """Stop delivering; unknown watchers are fine."""
        group = self._watchers.get(watcher.namespace)
        if group is not None:
            group.pop(watcher, None)
            if not group:
                del self._watchers[watcher.namespace]

    def since(self, revision: int) -> list[Change]:
        """The changes after `revision`. Raises Compacted when the history does not reach back to it."""
        if revision < self._start:
            raise Compacted(revision, self._start)
        changes: list[Change] = []
        for change in reversed(self._history):
            if change.revision <= revision:
                break
            changes.append(change)
        changes.reverse()
        return changes

    def at(self, revision: int, namespace: str = "") -> list[Item]:
        """The objects as they were at `revision`, in key order. Raises Compacted."""
        state: dict[tuple[str, str], Item | None] = {}
        for change in reversed(self.since(revision)):
            state[(change.item.namespace, change.item.name)] = change.previous
        keys = {key for key in self.items if key not in state} | {key for key, item in state.items() if item}
        selected = sorted(key for key in keys if not namespace or key[0] == namespace)
        return [state.get(key) or self.items[key] for key in selected]

    def apply(self, entry: Entry) -> None:
        """Take over a durable entry and tell everyone."""
        head = self._heads.get(entry.type)
        if head is None:
            head = self._heads[entry.type] = make_head(entry.type)
        key = (entry.key.namespace, entry.key.name)
        item = Item(entry, head)
        previous = self.items.get(key)
        if entry.deleted:
            if previous is not None:
                del self.items[key]
                del self._order[bisect_left(self._order, key)]
        else:
            if previous is None:
                insort(self._order, key)
            self.items[key] = item
        self.revision = entry.revision
        change = Change(entry.revision, item, previous, entry.deleted)
        self._remember(change)
        for listener in self._listeners:
            listener(change)
        for namespace in ("", item.namespace) if item.namespace else ("",):
            group = self._watchers.get(namespace)
            if group:
                for watcher in list(group):
                    watcher.deliver(change)

    def flush(self) -> None:
        """Let the watchers send what the last changes gave them."""
        dirty, self.dirty = self.dirty, []
        for watcher in dirty:
            watcher.flush()

    def forget(self, revision: int) -> None:
        """Drop history up to `revision` (the log is compacted)."""
        self._start = max(self._start, revision)
        while self._history and self._history[0].revision <= revision:
            self._history_bytes -= len(self._history.popleft().item.body)

    def _remember(self, change: Change) -> None:
        # Frames are only worth keeping while watchers are likely to share them, and while they are small.
        while self._framed and (len(self._framed) >= FRAMED_ENTRIES or self._framed_bytes > FRAMED_BYTES):
            former = self._framed.popleft()
            former.frames.clear()
            self._framed_bytes -= len(former.item.body)
        self._framed.append(change)
        self._framed_bytes += len(change.item.body)
        self._history.append(change)
        self._history_bytes += len(change.item.body)
        while len(self._history) > HISTORY_ENTRIES or self._history_bytes > HISTORY_BYTES:
            oldest = self._history.popleft()
            self._history_bytes -= len(oldest.item.body)
            self._start = oldest.revision


def make_head(kind: str) -> bytes:
    """The opening of an object's JSON for a stored `APIVERSION KIND`."""
    api_version, _, name = kind.partition(" ")
    return b'{"kind":' + _encode(name) + b',"apiVersion":' + _encode(api_version) + b","


def encode_object(obj: dict[str, Any], revision: int) -> tuple[str, bytes]:
    """(type, body) of an object for the log, with its resourceVersion."""
    obj["metadata"]["resourceVersion"] = str(revision)
    rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}
    return f"{obj['apiVersion']} {obj['kind']}", _encode(rest)[1:]
