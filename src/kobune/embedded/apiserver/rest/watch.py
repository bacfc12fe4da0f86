"""Watches: a history, then live changes, pushed from the collection straight into the connection.

Slow watchers (docs/flows/watch.md): while a connection's write buffer is full, changes wait as references to shared
frames, at most `MAX_PENDING`; a watch that falls behind further is cut, and its client resumes from its last revision.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from kobune.embedded.apiserver.http.message import Response, Stream, StreamingResponse, frame_chunk
from kobune.embedded.apiserver.registry.collection import Change, Item
from kobune.embedded.apiserver.registry.registry import Resource
from kobune.embedded.apiserver.rest import respond
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.convert import codec_of, from_storage, same_bytes
from kobune.embedded.apiserver.rest.negotiation import Format, negotiate
from kobune.embedded.apiserver.rest.options import ListOptions, list_options, watch_timeout_s
from kobune.embedded.apiserver.rest.read import select
from kobune.embedded.apiserver.status import StatusError, expired, not_acceptable
from kobune.embedded.store import Compacted

__all__ = ["MAX_PENDING", "watch"]

MAX_PENDING = 2000
BOOKMARK_EVERY_S = 60.0
_AUTHORIZE_EVERY_S = 5.0

encode = msgspec.json.encode


async def watch(call: Call) -> Response | StreamingResponse:
    """Start a watch. Raises StatusError for wrong options; a history that is gone is told as an ERROR event."""
    options = list_options(call.request, call.resource.info, watch=True)
    form = negotiate(call.request.headers.get("accept", ""))
    if form.media != "application/json":
        raise not_acceptable(("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"))
    content_type = "application/json"
    watcher = _Watcher(call, options, form)
    initial: list[Item] = []
    history: list[Change] = []
    revision = options.resource_version
    if revision and options.send_initial_events is not True:
        try:
            history = call.resource.collection.since(revision)
        except Compacted as error:
            return StreamingResponse(
                200, _fail(expired(f"too old resource version: {revision} ({error.compacted})")), content_type
            )
    elif options.send_initial_events is not False:
        initial, _ = select(call, ListOptions(labels=options.labels, fields=options.fields))
    objects = {}
    if codec_of(call.resource) is not None:
        for item in [*initial, *(change.item for change in history)]:
            if not same_bytes(call.resource, item):
                objects[item] = await from_storage(call.resource, item)
        watcher.converted = objects
    start_revision = call.services.storage.revision

    def start(stream: Stream) -> None:
        for change in history:
            if not watcher.namespace or change.item.namespace == watcher.namespace:
                watcher.queue_change(change)
        watcher.start(stream, initial, start_revision)

    return StreamingResponse(200, start, content_type, warnings=tuple(call.warnings))


def _fail(error: StatusError) -> Callable[[Stream], None]:
    def start(stream: Stream) -> None:
        stream.write(encode({"type": "ERROR", "object": error.body()}) + b"\n")
        stream.end()

    return start


class _Watcher:
    """One watch: filters changes, writes frames, sends bookmarks, ends in time or with its right."""

    def __init__(self, call: Call, options: ListOptions, form: Format) -> None:
        self.namespace = call.info.namespace if call.resource.info.namespaced else ""
        self._call = call
        self._resource: Resource = call.resource
        self._options = options
        self._form = form
        self._after = options.resource_version or 0
        self._filtered = bool(options.labels) or bool(options.fields)
        self._stream: Stream | None = None
        self._pending: list[bytes] = []
        self._dirty = False
        self._waiting = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._authorized_at = call.services.authorizer.generation
        self._columns_sent = False
        include = call.request.option("includeObject") if form.transform == "Table" else ""
        info = call.resource.info
        self._variant: Any = (info.group_version, form.transform, form.version, include)
        self._shares = form.transform != "Table"
        self.converted: dict[Item, dict[str, Any]] = {}
        self._codec = codec_of(call.resource)
        self._conversions: asyncio.Queue[Change] | None = None
        self._converting = 0
        self._worker: asyncio.Task[None] | None = None

    def queue_change(self, change: Change) -> None:
        """A change of the history, before the stream starts."""
        frame = self._frame(change)
        if frame is not None:
            self._pending.append(frame)

    def start(self, stream: Stream, initial: list[Item], revision: int) -> None:
        """Send what is there, then follow."""
        self._stream = stream
        stream.on_close(self._stop)
        loop = asyncio.get_running_loop()
        pieces = [self._event(b"ADDED", item) for item in initial]
        if self._options.send_initial_events and self._options.bookmarks:
            pieces.append(self._bookmark(revision, {"k8s.io/initial-events-end": "true"}))
        if pieces:
            stream.write(b"".join(pieces))
        pending, self._pending = self._pending, []
        if pending:
            stream.write_framed(b"".join(pending))
        self._resource.collection.watch(self)
        if self._codec is not None:
            self._conversions = asyncio.Queue(MAX_PENDING)
            self._worker = loop.create_task(self._convert())
        self._timers["end"] = loop.call_later(watch_timeout_s(self._options), self._end)
        self._timers["authorize"] = loop.call_later(_AUTHORIZE_EVERY_S, self._authorize)
        if self._options.bookmarks:
            self._timers["bookmark"] = loop.call_later(BOOKMARK_EVERY_S, self._send_bookmark)

    def deliver(self, change: Change) -> None:
        """A live change; one that the client has seen already (it named a later revision) is left out."""
        if change.revision <= self._after:
            return
        if self._conversions is not None and (self._converting or not self._is_plain(change)):
            self._converting += 1
            try:
                self._conversions.put_nowait(change)
            except asyncio.QueueFull:
                self._cut()
            return
        frame = self._frame(change)
        if frame is not None:
            self._send(frame)

    async def _convert(self) -> None:
        """Changes of a resource whose versions differ: converted in order, outside of the delivery."""
        assert self._conversions is not None
        while True:
            change = await self._conversions.get()
            for item in (change.item, change.previous):
                if item is not None and not same_bytes(self._resource, item):
                    self.converted[item] = await from_storage(self._resource, item)
            frame = self._frame(change)
            self.converted.clear()
            self._converting -= 1
            if frame is not None:
                self._send(frame)
                self._resource.collection.flush()

    def _is_plain(self, change: Change) -> bool:
        return all(item is None or same_bytes(self._resource, item) for item in (change.item, change.previous))

    def _send(self, frame: bytes) -> None:
        """Queue a frame; the collection flushes once per commit, so that a burst costs one write per connection."""
        if self._stream is None:
            return
        self._pending.append(frame)
        if self._waiting:
            if len(self._pending) > MAX_PENDING:
                self._cut()
        elif not self._dirty:
            self._dirty = True
            self._resource.collection.dirty.append(self)

    def flush(self) -> None:
        """Write what is queued, or wait until the reader has caught up."""
        self._dirty = False
        stream = self._stream
        if stream is None or self._waiting or not self._pending:
            return
        if stream.paused:
            self._waiting = True
            stream.on_writable(self._resume)
            return
        pending, self._pending = self._pending, []
        stream.write_framed(pending[0] if len(pending) == 1 else b"".join(pending))

    def _resume(self) -> None:
        self._waiting = False
        self.flush()

    def _frame(self, change: Change) -> bytes | None:
        """The chunk for a change; None when the selection is not concerned."""
        if self._filtered:
            now = not change.deleted and self._matches(change.item)
            before = change.previous is not None and self._matches(change.previous)
            if change.deleted:
                if not before:
                    return None
                kind, item = b"DELETED", change.item
            elif now:
                kind, item = (b"MODIFIED" if before else b"ADDED"), change.item
            elif before:
                # It left the selection: the state that matched, with the revision of the change.
                assert change.previous is not None
                return self._left(change.previous, change.revision)
            else:
                return None
        else:
            kind = b"DELETED" if change.deleted else (b"MODIFIED" if change.previous is not None else b"ADDED")
            item = change.item
        if not self._shares:
            return frame_chunk(self._event(kind, item))
        key = (kind, self._variant)
        frame = change.frames.get(key)
        if frame is None:
            frame = change.frames[key] = frame_chunk(self._event(kind, item))
        return frame

    def _matches(self, item: Item) -> bool:
        return self._options.labels.matches(item.labels) and self._options.fields.matches(item.field)

    def _left(self, previous: Item, revision: int) -> bytes:
        obj = self._object(previous)
        obj["metadata"]["resourceVersion"] = str(revision)
        return frame_chunk(b'{"type":"DELETED","object":%b}\n' % encode(self._transformed(obj)))

    def _event(self, kind: bytes, item: Item) -> bytes:
        if not self._form.transform and same_bytes(self._resource, item):
            return b'{"type":"%b","object":%b%b}\n' % (kind, self._resource.head, item.body)
        return b'{"type":"%b","object":%b}\n' % (kind, encode(self._transformed(self._object(item))))

    def _object(self, item: Item) -> dict[str, Any]:
        obj = self.converted.get(item) or item.object()
        if same_bytes(self._resource, item):
            obj["apiVersion"] = self._resource.info.group_version
            obj["kind"] = self._resource.info.kind
        return obj

    def _transformed(self, obj: dict[str, Any]) -> dict[str, Any]:
        match self._form.transform:
            case "":
                return obj
            case "Table":
                table = respond.render_table(self._call, self._form, [obj], obj["metadata"].get("resourceVersion"))
                if self._columns_sent:
                    table["columnDefinitions"] = None
                self._columns_sent = True
                return table
        return respond.partial(obj, self._form.version)

    def _bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        info = self._resource.info
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj: dict[str, Any] = {"kind": info.kind, "apiVersion": info.group_version, "metadata": metadata}
        if info.custom:
            del metadata["creationTimestamp"]
        if self._form.transform == "Table":
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._form.version}",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": None,
                "rows": [{"cells": None, "object": respond.partial(obj, self._form.version)}],
            }
        elif self._form.transform:
            obj = respond.partial(obj, self._form.version)
        return b'{"type":"BOOKMARK","object":%b}\n' % encode(obj)

    def _send_bookmark(self) -> None:
        if self._stream is None:
            return
        if not self._stream.paused:
            self._stream.write(self._bookmark(self._call.services.storage.revision))
        loop = asyncio.get_running_loop()
        self._timers["bookmark"] = loop.call_later(BOOKMARK_EVERY_S, self._send_bookmark)

    def _authorize(self) -> None:
        """A watch ends soon after its right is gone, or its token."""
        if self._stream is None:
            return
        generation = self._call.services.authorizer.generation
        if not self._call.services.parts["still_allowed"](self._call, self._authorized_at):
            self._end()
            return
        self._authorized_at = generation
        self._timers["authorize"] = asyncio.get_running_loop().call_later(_AUTHORIZE_EVERY_S, self._authorize)

    def _end(self) -> None:
        if self._stream is not None:
            self.flush()
        if self._stream is not None:
            self._stream.end()

    def _cut(self) -> None:
        self._pending.clear()
        if self._stream is not None:
            self._stream.abort()

    def _stop(self) -> None:
        self._resource.collection.unwatch(self)
        self._stream = None
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._pending.clear()
        if self._worker is not None:
            self._worker.cancel()
