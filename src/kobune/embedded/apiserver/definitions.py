"""CustomResourceDefinitions at run time: names accepted, resources served, instances removed with their definition.

Owns: the step from a stored definition to served resources. A definition is served from the moment its Established
condition is stored; the rules of names and schemas are `crd`'s.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from kobune.embedded.apiserver.crd.names import accept_names
from kobune.embedded.apiserver.crd.resources import Schemas, resources
from kobune.embedded.apiserver.registry.collection import Change, Item
from kobune.embedded.apiserver.registry.registry import Registry, Resource
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.convert import Codec
from kobune.embedded.apiserver.schema.structural import StructuralSchema
from kobune.embedded.apiserver.timestamps import now
from kobune.embedded.store import RevisionConflict

__all__ = ["Definitions"]

log = logging.getLogger(__name__)

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_CLEANUP_RETRY_S = 1.0


class _Known(NamedTuple):
    """What a definition's versions say; `since` is the revision at which that changed last.

    `shape` has a digest of each version's schema. The schemas themselves stay in the stored object, which `source` is.
    """

    shape: list[tuple[str, bytes]]
    source: "_Source"
    schemas: Schemas
    since: int


class _Source:
    """The stored definition that has the schemas of `shape`: the newest one, so that no older one is kept for them."""

    __slots__ = ("item",)

    def __init__(self, item: Item) -> None:
        self.item = item

    def schema(self, version: str) -> dict[str, Any]:
        """The openAPIV3Schema of a version."""
        _, schemas = _without_schemas(self.item)
        found: dict[str, Any] | None = msgspec.json.decode(schemas[version]).get("openAPIV3Schema")
        return found or {"type": "object"}

    def compile(self, shape: list[tuple[str, bytes]]) -> Schemas:
        """The schemas of all versions; those with equal schemas share one, as most definitions with several have."""
        compiled: dict[bytes, StructuralSchema] = {}
        for name, digest in shape:
            if digest not in compiled:
                compiled[digest] = StructuralSchema(partial(self.schema, name))
        return {name: compiled[digest] for name, digest in shape}


def _without_schemas(item: Item) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A definition, and what its versions have as `schema`, undecoded: decoded they are ten times as large."""
    outer = msgspec.json.decode(item.head + item.body, type=dict[str, msgspec.Raw])
    spec = msgspec.json.decode(outer.pop("spec"), type=dict[str, msgspec.Raw])
    schemas: dict[str, bytes] = {}
    versions = []
    for version in msgspec.json.decode(spec.pop("versions"), type=list[dict[str, msgspec.Raw]]):
        schema = version.pop("schema", _NO_SCHEMA)
        decoded = {name: msgspec.json.decode(value) for name, value in version.items()}
        schemas[decoded["name"]] = bytes(schema)
        versions.append(decoded)
    definition = {name: msgspec.json.decode(value) for name, value in outer.items()}
    definition["spec"] = {name: msgspec.json.decode(value) for name, value in spec.items()} | {"versions": versions}
    return definition, schemas


_NO_SCHEMA = msgspec.Raw(b"{}")


class Definitions:
    """Follows the definitions. `remove(resource, item)` deletes one custom object as a client would."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        remove: Callable[[Resource, Item], Awaitable[None]],
        codec: Callable[[dict[str, Any], Schemas, int], Codec | None],
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._remove = remove
        self._codec = codec
        self._schemas: dict[str, _Known] = {}
        self._collection = storage.collection("apiextensions.k8s.io/customresourcedefinitions")
        self._served: dict[str, list[tuple[str, str, str]]] = {}
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._collection.listen(self._changed)

    def load(self) -> None:
        """Serve what is stored."""
        for item in list(self._collection.select()):
            self._serve(item)
            self._dirty[item.name] = None
        self._wake.set()

    async def run(self) -> None:
        """Bring conditions up to date and clean up after deleted definitions, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                name = next(iter(self._dirty))
                del self._dirty[name]
                try:
                    await self._update(name)
                except RevisionConflict:
                    await self._storage.log.settle()
                    self._dirty[name] = None
                except Exception:
                    log.exception("definition %s", name)

    def _changed(self, change: Change) -> None:
        if change.deleted:
            self._stop(change.item.name)
            self._schemas.pop(change.item.name, None)
        else:
            self._serve(change.item)
        # Names that were taken may be free now, so all definitions of the group are looked at again.
        group = change.item.name.partition(".")[2]
        for item in self._collection.select():
            if item.name.partition(".")[2] == group:
                self._dirty[item.name] = None
        self._wake.set()

    def _serve(self, item: Item) -> None:
        definition, schemas = _without_schemas(item)
        self._stop(item.name)
        status = definition.get("status") or {}
        conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
        if conditions.get("Established") != "True":
            return
        terminating = bool(definition["metadata"].get("deletionTimestamp"))
        served = self._served.setdefault(item.name, [])
        shape = [(name, hashlib.sha256(schema).digest()) for name, schema in schemas.items()]
        known = self._schemas.get(item.name)
        if known is None or known.shape != shape:
            # Nothing was stored under a definition that is new; one that was loaded or changed may have older objects.
            since = 0 if known is None and not self._has_objects(definition) else item.revision
            source = _Source(item)
            known = self._schemas[item.name] = _Known(shape, source, source.compile(shape), since)
        known.source.item = item
        codec = self._codec(definition, known.schemas, known.since)
        for info in resources(definition, known.schemas):
            if codec is not None:
                info.extra["codec"] = codec
            self._registry.add(info, terminating=terminating)
            served.append((info.group, info.version, info.plural))

    def _has_objects(self, definition: dict[str, Any]) -> bool:
        spec = definition["spec"]
        return len(self._storage.collection(f"{spec['group']}/{spec['names']['plural']}")) > 0

    def _stop(self, name: str) -> None:
        for group, version, plural in self._served.pop(name, ()):
            self._registry.remove(group, version, plural)

    async def _update(self, name: str) -> None:
        item = self._collection.get("", name)
        if item is None:
            return
        definition = item.object()
        if definition["metadata"].get("deletionTimestamp"):
            await self._clean_up(item, definition)
            return
        # Names are unique within a group; decoding the definitions of all groups for each of them would add up.
        group = name.partition(".")[2]
        others = [
            _without_schemas(other)[0]
            for other in self._collection.select()
            if other.name != name and other.name.partition(".")[2] == group
        ]
        status = accept_names(definition, others, now())
        if status != definition.get("status"):
            definition["status"] = status
            await self._storage.put(self._collection, definition, item.revision)

    async def _clean_up(self, item: Item, definition: dict[str, Any]) -> None:
        finalizers = definition["metadata"].get("finalizers") or []
        if CLEANUP not in finalizers:
            return
        conditions = definition.setdefault("status", {}).setdefault("conditions", [])
        if not any(c["type"] == "Terminating" and c["status"] == "True" for c in conditions):
            conditions[:] = [c for c in conditions if c["type"] != "Terminating"]
            conditions.append(
                {
                    "type": "Terminating",
                    "status": "True",
                    "lastTransitionTime": now(),
                    "reason": "InstanceDeletionInProgress",
                    "message": "CustomResource deletion is in progress",
                }
            )
            await self._storage.put(self._collection, definition, item.revision)
            return
        spec = definition["spec"]
        collection = self._storage.collection(f"{spec['group']}/{spec['names']['plural']}")
        resource = self._registry.find(spec["group"], spec["names"]["plural"])
        if len(collection) and resource is not None:
            for instance in list(collection.select()):
                try:
                    await self._remove(resource, instance)
                except RevisionConflict:
                    continue
            if len(collection):
                asyncio.get_running_loop().call_later(_CLEANUP_RETRY_S, self._again, item.name)
                return
        fresh = self._collection.get("", item.name)
        if fresh is None:
            return
        definition = fresh.object()
        remaining = [name for name in definition["metadata"].get("finalizers") or () if name != CLEANUP]
        if remaining:
            definition["metadata"]["finalizers"] = remaining
            await self._storage.put(self._collection, definition, fresh.revision)
        else:
            definition["metadata"].pop("finalizers", None)
            await self._storage.remove(self._collection, definition, fresh.revision)

    def _again(self, name: str) -> None:
        self._dirty[name] = None
        self._wake.set()
