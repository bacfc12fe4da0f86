"""What a controller's pure decision returns, and nothing that carries it out.

`decide(seen) -> Decision` is the pattern of every controller (DESIGN.md section 4). A decision is safe under a stale
cache because of what its actions carry: creations have deterministic names and name their owner (an existing object
with that owner is adopted), deletions carry the uid, patches may carry the resourceVersion they were decided on.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Patch, Propagation

__all__ = ["Action", "Apply", "Create", "Decision", "Delete", "Event", "EventType", "PatchObject", "StatusPatch"]


class EventType(StrEnum):
    """Kubernetes has exactly these two."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the reconciled object: `reason` is one CamelCase word, `message` says what to do."""

    type: EventType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Create:
    """Create `obj` (name included). AlreadyExists is success when the existing object's controller is `owner_uid`."""

    resource: Resource[Any]
    namespace: str
    obj: dict[str, Any]
    owner_uid: str | None


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply the fields that the controller owns."""

    resource: Resource[Any]
    namespace: str
    obj: dict[str, Any]
    force: bool = True


@dataclass(frozen=True, slots=True)
class PatchObject:
    """Patch an object or one of its subresources; `NotFound` counts as done (the next pass sees why)."""

    resource: Resource[Any]
    key: Key
    patch: Patch
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete exactly the object with that uid; `NotFound`, or another uid under that name, counts as done."""

    resource: Resource[Any]
    key: Key
    uid: str
    grace_period_s: int | None = None
    propagation: Propagation | None = None


Action: TypeAlias = Create | Apply | PatchObject | Delete

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class StatusPatch:
    """The new status of the reconciled object, written only when it differs from what was observed.

    `resource_version` makes the write conditional; leave it None when the controller is the only writer.
    `may_wait_s` is how long what is new may wait for more to come, so that several changes are one write: 0 for what
    somebody waits for. It counts from the moment at which the status first differed, whatever is added meanwhile.
    """

    resource: Resource[Any]
    key: Key
    status: dict[str, Any]
    observed: dict[str, Any] | None
    resource_version: str | None = None
    may_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision(Generic[A]):
    """What to do now: actions in order, then the status, then the events.

    `A` is the closed union of actions: `Action` for controllers that write to Kubernetes alone, a union of their own
    for those that also drive the host. The executor stops at the first failure; the next pass decides anew.
    """

    actions: tuple[A, ...] = ()
    status: StatusPatch | None = None
    events: tuple[Event, ...] = field(default=())
    requeue_after: timedelta | None = None
