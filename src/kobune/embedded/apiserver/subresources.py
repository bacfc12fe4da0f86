"""Subresources and virtual resources with a behaviour of their own, by kind; everything else is generic.

Owns: the table. Handlers live in `kinds/`.
"""

from collections.abc import Awaitable, Callable

from kobune.embedded.apiserver.http.message import AnyResponse
from kobune.embedded.apiserver.rest.call import Call

__all__ = ["SpecialHandler", "Subresources"]

SpecialHandler = Callable[[Call], Awaitable[AnyResponse]]


class Subresources:
    """Handlers by (group, plural, subresource); an empty subresource is the collection itself."""

    def __init__(self, handlers: dict[tuple[str, str, str], SpecialHandler]) -> None:
        self._handlers = handlers

    def handler(self, call: Call) -> SpecialHandler | None:
        """The handler of the call's subresource."""
        info = call.resource.info
        found = self._handlers.get((info.group, info.plural, call.info.subresource))
        if found is None:
            found = self._handlers.get(("*", "*", call.info.subresource))
        return found

    def collection_handler(self, call: Call) -> SpecialHandler | None:
        """The handler of a resource that is only answered, not stored."""
        info = call.resource.info
        return self._handlers.get((info.group, info.plural, ""))
