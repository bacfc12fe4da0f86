"""What goes into and comes out of a client call."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

__all__ = ["ListResult", "Patch", "PatchType", "Preconditions", "Propagation", "WatchEvent", "WatchEventType"]

T = TypeVar("T")


class PatchType(StrEnum):
    """The media types of PATCH; `APPLY` is server-side apply."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class Propagation(StrEnum):
    """What happens to the dependents of a deleted object."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


class WatchEventType(StrEnum):
    """`ERROR` events never reach the caller: they are raised as `ApiError` (`Expired` for 410)."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch body: a list of operations for JSON patch, else a (partial) object."""

    type: PatchType
    body: Any

    @staticmethod
    def merge(body: dict[str, Any]) -> "Patch":
        """A JSON merge patch (RFC 7386): null removes, lists are replaced."""
        return Patch(PatchType.MERGE, body)

    @staticmethod
    def json(*operations: dict[str, Any]) -> "Patch":
        """A JSON patch (RFC 6902); a leading `test` operation makes it conditional."""
        return Patch(PatchType.JSON, list(operations))


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What must still be true of the object; a difference raises `Conflict`."""

    uid: str | None = None
    resource_version: str | None = None


@dataclass(frozen=True, slots=True)
class ListResult(Generic[T]):
    """One page of a collection."""

    items: list[T]
    resource_version: str
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One change. `object` is None for a bookmark only; `resource_version` is where to resume."""

    type: WatchEventType
    object: T | None
    resource_version: str
