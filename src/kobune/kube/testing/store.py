"""Objects and their history for the in-memory API. Pure but for its own state.

Owns: revisions, what each watcher may still see, and the rules every stored object follows (uid, generation,
finalizers). Must not: know clients, faults or time beside the clock it was given.
"""

import copy
import itertools
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kobune.base.clock import Clock, format_time
from kobune.kube.client.errors import AlreadyExists, Conflict, Expired, NotFound
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Preconditions

__all__ = ["Change", "Collection", "Store"]

Document: TypeAlias = dict[str, Any]
Collection: TypeAlias = tuple[str, str]
"""Group and plural."""

_FIRST_REVISION: Final = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history: `old` is None for a creation, `new` is None for a removal (`last` has its end)."""

    revision: int
    collection: Collection
    old: Document | None
    new: Document | None
    last: Document | None = None


class Store:
    """All objects of an in-memory API."""

    def __init__(self, clock: Clock) -> None:
        self.revision = _FIRST_REVISION
        self.oldest = _FIRST_REVISION
        """Watches from before this revision are refused."""
        self.history: list[Change] = []
        self._clock = clock
        self._objects: dict[Collection, dict[Key, Document]] = {}
        self._uids = itertools.count(1)
        self._names = itertools.count(1)

    def collections(self) -> list[Collection]:
        """Every collection that was ever written."""
        return list(self._objects)

    def objects(self, collection: Collection) -> dict[Key, Document]:
        """The stored documents; not to be changed by the caller."""
        return self._objects.setdefault(collection, {})

    def get(self, resource: Resource[Any], key: Key) -> Document:
        """One document. Raises NotFound."""
        collection = (resource.group, resource.plural)
        document = self.objects(collection).get(key)
        if document is None:
            name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
            raise NotFound(404, "NotFound", f'{name} "{key.name}" not found')
        return document

    def create(self, resource: Resource[Any], namespace: str, given: Document) -> Document:
        """Store a new object. Raises AlreadyExists."""
        document = copy.deepcopy(given)
        metadata = document.setdefault("metadata", {})
        if resource.namespaced:
            metadata["namespace"] = namespace or metadata.get("namespace") or "default"
        else:
            metadata.pop("namespace", None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName']}{next(self._names):05x}"
        key = Key(metadata.get("namespace", ""), metadata["name"])
        if key in self.objects((resource.group, resource.plural)):
            raise AlreadyExists(409, "AlreadyExists", f'{resource.plural} "{key.name}" already exists')
        document |= {"apiVersion": resource.api_version, "kind": resource.kind}
        metadata |= {
            "uid": f"00000000-0000-4000-8000-{next(self._uids):012x}",
            "generation": 1,
            "creationTimestamp": format_time(self._clock.now()),
        }
        metadata.pop("deletionTimestamp", None)
        self._commit(resource, key, None, document)
        return document

    def update(self, resource: Resource[Any], key: Key, new: Document) -> Document:
        """Replace an object by `new`, whose identity is restored; nothing happens when nothing changed.

        Raises Conflict when `new` carries another resourceVersion or uid.
        """
        old = self.get(resource, key)
        new = copy.deepcopy(new)
        was, metadata = old["metadata"], new.setdefault("metadata", {})
        self.check(resource, key, metadata.get("uid"), metadata.get("resourceVersion"))
        for name in ("uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion", "namespace"):
            if name in was:
                metadata[name] = was[name]
            else:
                metadata.pop(name, None)
        metadata["name"] = key.name
        new |= {"apiVersion": old["apiVersion"], "kind": old["kind"]}
        if new == old:
            return old
        if _content(new) != _content(old):
            metadata["generation"] = was["generation"] + 1
        if "deletionTimestamp" in metadata and not metadata.get("finalizers") and not _waits_for_grace(new):
            self.remove(resource, key, new)
            return new
        self._commit(resource, key, old, new)
        return new

    def check(self, resource: Resource[Any], key: Key, uid: str | None, resource_version: str | None) -> None:
        """Raise Conflict when the stored object is another one."""
        metadata = self.get(resource, key)["metadata"]
        if uid and uid != metadata["uid"]:
            raise Conflict(409, "Conflict", f"Precondition failed: UID in precondition: {uid}, is {metadata['uid']}")
        if resource_version and resource_version != metadata["resourceVersion"]:
            raise Conflict(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {resource.plural} "{key.name}": the object has changed',
            )

    def delete(
        self, resource: Resource[Any], key: Key, preconditions: Preconditions | None, grace_period_s: int | None
    ) -> None:
        """Remove an object, or mark it when finalizers or a grace period keep it."""
        old = self.get(resource, key)
        if preconditions is not None:
            self.check(resource, key, preconditions.uid, preconditions.resource_version)
        metadata = old["metadata"]
        grace_s = 0
        if (resource.group, resource.plural) == ("", "pods") and old.get("spec", {}).get("nodeName"):
            default_s = old["spec"].get("terminationGracePeriodSeconds", 30)
            grace_s = default_s if grace_period_s is None else grace_period_s
        if not metadata.get("finalizers") and grace_s == 0:
            self.remove(resource, key, old)
            return
        if "deletionTimestamp" in metadata and metadata.get("deletionGracePeriodSeconds", 0) <= grace_s:
            return
        new = copy.deepcopy(old)
        new["metadata"].setdefault("deletionTimestamp", format_time(self._clock.now()))
        new["metadata"]["deletionGracePeriodSeconds"] = grace_s
        new["metadata"]["generation"] += 1
        self._commit(resource, key, old, new)

    def remove(self, resource: Resource[Any], key: Key, last: Document) -> None:
        """Take an object out; watchers see `last` with the revision of the removal."""
        collection = (resource.group, resource.plural)
        old = self._objects[collection].pop(key)
        self.revision += 1
        last = copy.deepcopy(last)
        last["metadata"]["resourceVersion"] = str(self.revision)
        self.history.append(Change(self.revision, collection, old, None, last))

    def changes(self, collection: Collection, after: int, start: int) -> tuple[list[Change], int]:
        """History entries of a collection newer than `after`, scanning from index `start`; and where to go on.

        Raises Expired when entries newer than `after` were compacted away.
        """
        if after < self.oldest:
            raise Expired(410, "Expired", f"too old resource version: {after} ({self.oldest})")
        found = [
            change for change in self.history[start:] if change.revision > after and change.collection == collection
        ]
        return found, len(self.history)

    def compact(self) -> None:
        """Forget the history: watches that are behind must list again."""
        self.revision += 1
        self.oldest = self.revision

    def _commit(self, resource: Resource[Any], key: Key, old: Document | None, new: Document) -> None:
        collection = (resource.group, resource.plural)
        self.revision += 1
        new["metadata"]["resourceVersion"] = str(self.revision)
        self.objects(collection)[key] = new
        self.history.append(Change(self.revision, collection, old, new))


def _waits_for_grace(document: Document) -> bool:
    return bool(document["metadata"].get("deletionGracePeriodSeconds"))


def _content(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in ("metadata", "status")}
