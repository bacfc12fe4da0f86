"""Kubernetes Events about what controllers did.

Owns: aggregation (a repeated event raises a count instead of making another object), the limit per object, and a
bounded buffer. Must not: fail or slow down a controller; when the API takes no events they are dropped and logged.

Sizes: 1,000 buffered events; 4,096 remembered ones; per object 25 events at once, then one in 5 minutes, as clients of
Kubernetes do; more than 10 of one reason with different messages within 10 minutes share one event.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kobune.base.clock import Clock, format_time
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.errors import ApiError, NotFound
from kobune.kube.client.objects import key_of, metadata_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Event

__all__ = ["EventRecorder", "Reference"]

log = logging.getLogger(__name__)

_EVENTS: Final[Resource[dict[str, Any]]] = Resource("", "v1", "events", "Event", True, dict)

BUFFER_SIZE: Final = 1000
REMEMBERED: Final = 4096
BURST: Final = 25
REFILL_S: Final = 300.0
SIMILAR_LIMIT: Final = 10
SIMILAR_WINDOW_S: Final = 600.0
MESSAGE_LIMIT: Final = 1024


@dataclass(frozen=True, slots=True)
class Reference:
    """What an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str = ""
    field_path: str = ""

    @staticmethod
    def to(resource: Resource[Any], obj: object, field_path: str = "") -> "Reference":
        """A reference to an object of that resource; `field_path` such as `spec.containers{compute}`."""
        metadata = metadata_of(obj)
        return Reference(
            resource.api_version,
            resource.kind,
            metadata.namespace,
            metadata.name,
            metadata.uid,
            metadata.resource_version,
            field_path,
        )

    def as_object(self) -> dict[str, str]:
        """The `involvedObject` of an Event."""
        fields = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "resourceVersion": self.resource_version,
            "fieldPath": self.field_path,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(slots=True)
class _Known:
    """An event object that exists: where, how often, and when last."""

    key: Key
    count: int
    last_s: float


@dataclass(slots=True)
class _Bucket:
    """Tokens left of one object."""

    tokens: float
    at_s: float


class EventRecorder:
    """Takes events at once and writes them in the background while `run` runs."""

    def __init__(self, client: Client, *, component: str, instance: str = "", clock: Clock | None = None) -> None:
        self.dropped = 0
        self._client = client
        self._component = component
        self._instance = instance or component
        self._clock = clock or SystemClock()
        self._buffer: asyncio.Queue[tuple[Reference, Event, datetime]] = asyncio.Queue(BUFFER_SIZE)
        self._known: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._messages: OrderedDict[tuple[str, ...], dict[str, float]] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def record(self, reference: Reference, event: Event) -> None:
        """Remember an event to be written; never blocks."""
        try:
            self._buffer.put_nowait((reference, event, self._clock.now()))
        except asyncio.QueueFull:
            self.dropped += 1
            log.debug("event dropped: %s %s: %s", reference.kind, reference.name, event.message)

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            reference, event, now = await self._buffer.get()
            try:
                await self._write(reference, event, now)
            except ApiError as error:
                self.dropped += 1
                log.debug("event about %s %s not written: %s", reference.kind, reference.name, error)
            finally:
                self._buffer.task_done()

    async def flush(self, timeout_s: float = 5.0) -> None:
        """Wait until everything recorded so far was handled; for tests and for a clean end."""
        async with asyncio.timeout(timeout_s):
            await self._buffer.join()

    async def _write(self, reference: Reference, event: Event, now: datetime) -> None:
        message = event.message[:MESSAGE_LIMIT]
        group = (reference.uid or f"{reference.kind}/{reference.namespace}/{reference.name}", event.type, event.reason)
        moment_s = self._clock.monotonic_s()
        if self._is_flood(group, message, moment_s):
            message = f"(combined from similar events): {message}"
            identity: tuple[str, ...] = (*group, reference.field_path)
        else:
            identity = (*group, reference.field_path, message)
        if not self._take_token(group[0], moment_s):
            self.dropped += 1
            return
        known = self._known.get(identity)
        if known is not None:
            patch = Patch.merge({"count": known.count + 1, "lastTimestamp": format_time(now), "message": message})
            try:
                await self._client.patch(_EVENTS, known.key.name, patch, known.key.namespace)
            except NotFound:
                del self._known[identity]
            else:
                known.count, known.last_s = known.count + 1, moment_s
                self._known.move_to_end(identity)
                return
        created = await self._client.create(_EVENTS, self._render(reference, event, message, now))
        self._known[identity] = _Known(key_of(created), 1, moment_s)
        _trim(self._known)

    def _render(self, reference: Reference, event: Event, message: str, now: datetime) -> dict[str, Any]:
        moment = format_time(now)
        return {
            # Events about cluster-scoped objects live in `default`.
            "metadata": {
                "name": f"{reference.name[:230]}.{secrets.token_hex(8)}",
                "namespace": reference.namespace or "default",
            },
            "involvedObject": reference.as_object(),
            "type": event.type.value,
            "reason": event.reason,
            "message": message,
            "source": {"component": self._component, "host": self._instance}
            if self._instance != self._component
            else {"component": self._component},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }

    def _is_flood(self, group: tuple[str, ...], message: str, moment_s: float) -> bool:
        messages = self._messages.setdefault(group, {})
        messages[message] = moment_s
        for text in [text for text, at_s in messages.items() if moment_s - at_s > SIMILAR_WINDOW_S]:
            del messages[text]
        while len(messages) > SIMILAR_LIMIT + 1:
            del messages[next(iter(messages))]
        self._messages.move_to_end(group)
        _trim(self._messages)
        return len(messages) > SIMILAR_LIMIT

    def _take_token(self, subject: str, moment_s: float) -> bool:
        bucket = self._buckets.setdefault(subject, _Bucket(BURST, moment_s))
        bucket.tokens = min(BURST, bucket.tokens + (moment_s - bucket.at_s) / REFILL_S)
        bucket.at_s = moment_s
        self._buckets.move_to_end(subject)
        _trim(self._buckets)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _trim(remembered: "OrderedDict[Any, Any]") -> None:
    while len(remembered) > REMEMBERED:
        remembered.popitem(last=False)
