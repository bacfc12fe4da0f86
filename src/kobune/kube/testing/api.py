"""An API server in memory that keeps the client protocol; see tests/support/client_contract.py for what it promises.

Owns: the verbs, the status subresource and the record of what was asked. Must not: validate kinds or run
controllers; `collect_garbage` is the only help.
"""

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from kobune.base.clock import Clock
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.errors import Invalid, NotFound
from kobune.kube.client.objects import key_of, to_builtins
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import ListResult, Patch, Preconditions, Propagation, WatchEvent
from kobune.kube.testing.faults import Faults
from kobune.kube.testing.garbage import collect_once
from kobune.kube.testing.patches import apply_patch, server_side_apply
from kobune.kube.testing.selection import collection_of, decode, selector
from kobune.kube.testing.store import Collection, Store
from kobune.kube.testing.watches import Watches

__all__ = ["FakeApi", "Request"]

T = TypeVar("T")

RawHandler: TypeAlias = Callable[[re.Match[str], dict[str, Any]], Awaitable[dict[str, Any]]]
"""Answers a raw request: the match of its path and its decoded body; returns the decoded answer."""

_WRITES = frozenset(["create", "replace", "patch", "apply", "delete", "raw"])


@dataclass(frozen=True, slots=True)
class Request:
    """One call, for assertions on what was sent."""

    verb: str
    plural: str
    key: Key
    subresource: str = ""


class FakeApi:
    """Keeps `kobune.kube.client.protocol.Client` without a server, for any `Resource` that it is called with.

    `no_status` names plurals without a status subresource beside those whose `Resource` says so.
    """

    def __init__(self, *, clock: Clock | None = None, no_status: frozenset[str] = frozenset()) -> None:
        self.clock = clock or SystemClock()
        self.store = Store(self.clock)
        self.faults = Faults()
        self._watches = Watches(self.store)
        self.requests: list[Request] = []
        self._no_status = no_status
        self._applied: dict[tuple[Collection, Key, str], dict[str, Any]] = {}
        self._routes: list[tuple[str, re.Pattern[str], RawHandler]] = []

    # Verbs

    async def get(self, resource: Resource[T], name: str, namespace: str = "") -> T:
        """One object; `NotFound` when there is none."""
        await self._enter("get", resource.plural, Key(namespace, name))
        return decode(resource, self.store.get(resource, self._key(resource, namespace, name)))

    async def list(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ListResult[T]:
        """One page, or everything when `limit` is 0; ordered by namespace and name."""
        await self._enter("list", resource.plural, Key(namespace, ""))
        selects = selector(namespace, label_selector, field_selector)
        documents = [
            document for _, document in sorted(self.store.objects(collection_of(resource)).items()) if selects(document)
        ]
        start = int(continue_token) if continue_token else 0
        end = start + limit if limit else len(documents)
        token = str(end) if end < len(documents) else ""
        items = [decode(resource, document) for document in documents[start:end]]
        return ListResult(items, str(self.store.revision), token)

    async def watch(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: float = 300.0,
    ) -> AsyncIterator[WatchEvent[T]]:
        """Changes after `resource_version`, then a bookmark; an empty one or "0" begins with what there is."""
        await self._enter("watch", resource.plural, Key(namespace, ""))
        selects = selector(namespace, label_selector, field_selector)
        async for event in self._watches.follow(resource, selects, resource_version, timeout_s):
            yield event

    async def create(self, resource: Resource[T], obj: T | dict[str, Any], namespace: str = "") -> T:
        """Create; `AlreadyExists` when the name is taken. The status is dropped, as with a status subresource."""
        document = copy.deepcopy(to_builtins(obj))
        namespace = namespace or key_of(document).namespace
        await self._enter("create", resource.plural, Key(namespace, key_of(document).name))
        if self._splits_status(resource):
            document.pop("status", None)
        return await self._leave("create", resource, self.store.create(resource, namespace, document))

    async def replace(
        self, resource: Resource[T], obj: dict[str, Any], namespace: str = "", *, subresource: str = ""
    ) -> T:
        """PUT a whole object."""
        key = self._key(resource, namespace or key_of(obj).namespace, key_of(obj).name)
        await self._enter("replace", resource.plural, key, subresource)
        stored = self._write(resource, key, copy.deepcopy(obj), subresource)
        return await self._leave("replace", resource, stored)

    async def patch(
        self, resource: Resource[T], name: str, patch: Patch, namespace: str = "", *, subresource: str = ""
    ) -> T:
        """PATCH an object or one of its subresources."""
        key = self._key(resource, namespace, name)
        await self._enter("patch", resource.plural, key, subresource)
        patched = apply_patch(self.store.get(resource, key), patch)
        stored = self._write(resource, key, patched, subresource)
        return await self._leave("patch", resource, stored)

    async def apply(
        self,
        resource: Resource[T],
        obj: dict[str, Any],
        namespace: str = "",
        *,
        field_manager: str,
        force: bool = False,
        subresource: str = "",
    ) -> T:
        """Server-side apply; creates what is missing."""
        key = self._key(resource, namespace or key_of(obj).namespace, key_of(obj).name)
        await self._enter("apply", resource.plural, key, subresource)
        owned = (collection_of(resource), key, f"{field_manager}/{subresource}")
        before = self._applied.get(owned)
        self._applied[owned] = copy.deepcopy(obj)
        try:
            document = self.store.get(resource, key)
        except NotFound:
            if subresource:
                raise
            created = {name: value for name, value in obj.items() if name != "status"}
            return await self._leave("apply", resource, self.store.create(resource, key.namespace, created))
        stored = self._write(resource, key, server_side_apply(document, obj, before), subresource)
        return await self._leave("apply", resource, stored)

    async def delete(
        self,
        resource: Resource[T],
        name: str,
        namespace: str = "",
        *,
        preconditions: Preconditions | None = None,
        grace_period_s: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Delete; finalizers and the grace period of a pod on a node keep the object, marked."""
        key = self._key(resource, namespace, name)
        await self._enter("delete", resource.plural, key)
        finalizer = {Propagation.FOREGROUND: "foregroundDeletion", Propagation.ORPHAN: "orphan"}.get(
            propagation or Propagation.BACKGROUND
        )
        if finalizer is not None:
            document = copy.deepcopy(self.store.get(resource, key))
            finalizers = document["metadata"].setdefault("finalizers", [])
            if finalizer not in finalizers:
                finalizers.append(finalizer)
                self.store.update(resource, key, document)
                # Its own write must not trip over the caller's precondition.
                preconditions = Preconditions(uid=preconditions.uid) if preconditions else None
        self.store.delete(resource, key, preconditions, grace_period_s)
        self._watches.announce()
        await self.faults.strike("delete", resource.plural, after=True)

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float | None = None,
    ) -> bytes:
        """Answered by the handlers given to `route`; `NotFound` for anything else."""
        await self._enter("raw", path, Key("", method))
        for wanted, pattern, handler in self._routes:
            found = pattern.fullmatch(path)
            if wanted == method and found is not None:
                answer = await handler(found, json.loads(body) if body else {})
                self._watches.announce()
                return json.dumps(answer).encode()
        raise NotFound(404, "NotFound", "the server could not find the requested resource")

    async def close(self) -> None:
        """Nothing to release."""

    # For tests

    def route(self, method: str, pattern: str, handler: RawHandler) -> None:
        """Answer raw requests whose whole path matches the pattern."""
        self._routes.append((method, re.compile(pattern), handler))

    def seed(self, resource: Resource[T], obj: T | dict[str, Any], namespace: str = "") -> T:
        """Store an object as it is, status included, without a request."""
        stored = self.store.create(resource, namespace, copy.deepcopy(to_builtins(obj)))
        self._watches.announce()
        return decode(resource, stored)

    def edit(self, resource: Resource[T], key: Key, change: Callable[[dict[str, Any]], None]) -> T:
        """Change a stored object in place, status included, without a request."""
        document = copy.deepcopy(self.store.get(resource, key))
        change(document)
        stored = self.store.update(resource, key, document)
        self._watches.announce()
        return decode(resource, stored)

    def peek(self, resource: Resource[T], key: Key) -> T | None:
        """The stored object without a request."""
        document = self.store.objects(collection_of(resource)).get(key)
        return None if document is None else decode(resource, document)

    def peek_all(self, resource: Resource[T]) -> Sequence[T]:
        """All stored objects of a resource without a request, ordered by key."""
        documents = sorted(self.store.objects(collection_of(resource)).items())
        return [decode(resource, document) for _, document in documents]

    @property
    def writes(self) -> int:
        """How many calls could have changed something."""
        return sum(request.verb in _WRITES for request in self.requests)

    def disconnect_watches(self) -> None:
        """Break every watch that is open now."""
        self._watches.disconnect()

    def hold_watches(self, plural: str) -> None:
        """Keep watches of a resource open but silent: caches go stale."""
        self._watches.hold(plural)

    def release_watches(self, plural: str) -> None:
        """Deliver what was held back."""
        self._watches.release(plural)

    def compact(self) -> None:
        """Break every watch and refuse to resume it: informers must list again."""
        self.store.compact()
        self.disconnect_watches()

    def collect_garbage(self) -> None:
        """Delete, until nothing changes, every object whose owners are all gone."""
        while collect_once(self.store):
            pass
        self._watches.announce()

    # Inside

    def _key(self, resource: Resource[Any], namespace: str, name: str) -> Key:
        return Key((namespace or "default") if resource.namespaced else "", name)

    def _splits_status(self, resource: Resource[Any]) -> bool:
        return resource.status_subresource and resource.plural not in self._no_status

    async def _enter(self, verb: str, plural: str, key: Key, subresource: str = "") -> None:
        self.requests.append(Request(verb, plural, key, subresource))
        # A real call always gives others a turn; races between controllers need that.
        await asyncio.sleep(0)
        await self.faults.strike(verb, plural, after=False)

    async def _leave(self, verb: str, resource: Resource[T], document: dict[str, Any]) -> T:
        self._watches.announce()
        await self.faults.strike(verb, resource.plural, after=True)
        return decode(resource, document)

    def _write(self, resource: Resource[Any], key: Key, document: dict[str, Any], subresource: str) -> dict[str, Any]:
        """Store what the main resource or the status subresource may change, and nothing else."""
        old = self.store.get(resource, key)
        if subresource == "status" and self._splits_status(resource):
            metadata = {**copy.deepcopy(old["metadata"])}
            given = document.get("metadata") or {}
            # Built-in kinds take annotations on this way as well, custom ones do not.
            names = ("resourceVersion", "uid", *(("annotations",) if not resource.group else ()))
            metadata |= {name: given[name] for name in names if name in given}
            merged = {**copy.deepcopy(old), "metadata": metadata, "status": document.get("status") or {}}
            if not merged["status"]:
                merged.pop("status")
            return self.store.update(resource, key, merged)
        if subresource and subresource != "status":
            raise Invalid(404, "NotFound", f"the in-memory API has no subresource {subresource!r}")
        if self._splits_status(resource):
            document.pop("status", None)
            if "status" in old:
                document["status"] = copy.deepcopy(old["status"])
        return self.store.update(resource, key, document)
