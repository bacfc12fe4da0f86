"""The objects of one informer in memory, with indexes.

Owns: lookups. Invariant: every index holds exactly the keys whose current object yields that value.
Must not: do I/O or know about watches. Objects are frozen Structs (or dicts that nobody may change).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from kobune.kube.client.objects import controller_of, key_of, metadata_of
from kobune.kube.client.resource import Key

__all__ = ["Cache", "IndexFunction", "by_controller_uid", "by_field", "by_label", "by_namespace", "by_owner_uid"]

T = TypeVar("T")

IndexFunction: TypeAlias = Callable[[Any], Iterable[str]]
"""The values under which an object is found in an index; none at all is fine."""


def by_namespace(obj: Any) -> Iterable[str]:
    """Index: the object's namespace."""
    return (key_of(obj).namespace,)


def by_owner_uid(obj: Any) -> Iterable[str]:
    """Index: the uid of each owner."""
    return tuple(reference.uid for reference in metadata_of(obj).owner_references)


def by_controller_uid(obj: Any) -> Iterable[str]:
    """Index: the uid of the controlling owner."""
    reference = controller_of(obj)
    return (reference.uid,) if reference is not None else ()


def by_label(name: str) -> IndexFunction:
    """Index: the value of one label; objects without it are not found."""

    def index(obj: Any) -> Iterable[str]:
        value = metadata_of(obj).labels.get(name)
        return (value,) if value is not None else ()

    return index


def by_field(read: Callable[[Any], str | None]) -> IndexFunction:
    """Index: what `read` gives; None and "" are not found."""

    def index(obj: Any) -> Iterable[str]:
        value = read(obj)
        return (value,) if value else ()

    return index


class Cache(Generic[T]):
    """Objects by key and by the indexes given."""

    def __init__(self, indexes: Mapping[str, IndexFunction] | None = None) -> None:
        self._objects: dict[Key, T] = {}
        self._indexes: dict[str, IndexFunction] = {}
        self._values: dict[str, dict[str, set[Key]]] = {}
        for name, function in (indexes or {}).items():
            self.add_index(name, function)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._objects))

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add an index, over what is already here too. Raises ValueError when the name means another function."""
        if name in self._indexes:
            if self._indexes[name] is not function:
                raise ValueError(f"index {name!r} already exists with another function")
            return
        self._indexes[name] = function
        self._values[name] = {}
        for key, obj in self._objects.items():
            self._index(name, key, obj)

    def get(self, key: Key) -> T | None:
        """The object of that name."""
        return self._objects.get(key)

    def list(self, namespace: str = "") -> list[T]:
        """All objects, or those of one namespace, ordered by key."""
        keys = sorted(key for key in self._objects if not namespace or key.namespace == namespace)
        return [self._objects[key] for key in keys]

    def by_index(self, name: str, value: str) -> Sequence[T]:
        """The objects that the index `name` finds under `value`, ordered by key. Raises KeyError for no such index."""
        return [self._objects[key] for key in sorted(self._values[name].get(value, ()))]

    def put(self, obj: T) -> T | None:
        """Insert or replace; the object that was there before."""
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None:
            self._unindex(key, old)
        self._objects[key] = obj
        for name in self._indexes:
            self._index(name, key, obj)
        return old

    def remove(self, key: Key) -> T | None:
        """Remove; the object that was there."""
        old = self._objects.pop(key, None)
        if old is not None:
            self._unindex(key, old)
        return old

    def _index(self, name: str, key: Key, obj: T) -> None:
        for value in self._indexes[name](obj):
            self._values[name].setdefault(value, set()).add(key)

    def _unindex(self, key: Key, obj: T) -> None:
        for name, function in self._indexes.items():
            for value in function(obj):
                keys = self._values[name].get(value)
                if keys is not None:
                    keys.discard(key)
                    if not keys:
                        del self._values[name][value]
