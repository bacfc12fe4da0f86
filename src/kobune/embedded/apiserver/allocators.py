"""What the server hands out when objects are stored: Services' cluster IPs and node ports.

Owns: which addresses and ports are taken. The truth is the stored Services; this is an index of them.
"""

from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.registry.registry import Resource
from kobune.embedded.apiserver.rest.call import Call

__all__ = ["Allocation", "Allocators"]


class Allocation:
    """What one write took; `undo` gives it back when the write failed."""

    def __init__(self, undo: Callable[[], None] | None = None) -> None:
        self._undo = undo

    def undo(self) -> None:
        """Give back; a second call does nothing."""
        if self._undo is not None:
            self._undo()
            self._undo = None


_NOTHING = Allocation()


class Allocators:
    """Calls the allocator of a kind, if it has one."""

    def __init__(self) -> None:
        self._by_resource: dict[str, Any] = {}

    def add(self, resource: str, allocator: Any) -> None:
        """Use `allocator` for `GROUP/PLURAL`."""
        self._by_resource[resource] = allocator

    def create(self, call: Call, obj: dict[str, Any]) -> Allocation:
        """Allocate for a new object, changing it."""
        allocator = self._by_resource.get(call.resource.collection.resource)
        allocation: Allocation = allocator.create(call, obj) if allocator else _NOTHING
        return allocation

    def update(self, call: Call, obj: dict[str, Any], old: dict[str, Any]) -> Allocation:
        """Allocate for a changed object, changing it."""
        allocator = self._by_resource.get(call.resource.collection.resource)
        allocation: Allocation = allocator.update(call, obj, old) if allocator else _NOTHING
        return allocation

    def release(self, resource: Resource, obj: dict[str, Any]) -> None:
        """Take back what a deleted object had."""
        allocator = self._by_resource.get(resource.collection.resource)
        if allocator:
            allocator.release(obj)
