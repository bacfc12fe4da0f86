"""Events do not stay for ever: an hour after what they tell was last seen they go, as on every cluster."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from kobune.base.clock import parse_time
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.store import RevisionConflict

__all__ = ["EventExpiry"]

log = logging.getLogger(__name__)

EVENT_LIFE = timedelta(hours=1)
_EVERY_S = 300.0
_PAUSE_AFTER = 200


class EventExpiry:
    """Removes old Events, in small portions so that other requests are not held up."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._events = storage.collection("core/events")

    async def run(self) -> None:
        """Look every five minutes, for ever."""
        while True:
            await asyncio.sleep(_EVERY_S)
            removed = await self.expire(datetime.now(UTC))
            if removed:
                log.debug("%d old events removed", removed)

    async def expire(self, now: datetime) -> int:
        """Remove what was last seen more than an hour before `now`; gives their number."""
        removed = 0
        for index, item in enumerate(list(self._events.select())):
            if index % _PAUSE_AFTER == 0:
                await asyncio.sleep(0)
            event = item.object()
            if now - last_seen(event) <= EVENT_LIFE:
                continue
            try:
                await self._storage.remove(self._events, event, item.revision)
                removed += 1
            except RevisionConflict:
                continue  # it was seen again just now
        return removed


def last_seen(event: dict[str, Any]) -> datetime:
    """The latest of an Event's times; its creation at least."""
    series = event.get("series") or {}
    texts = (
        event.get("lastTimestamp"),
        event.get("eventTime"),
        series.get("lastObservedTime"),
        event["metadata"].get("creationTimestamp"),
    )
    moments = []
    for text in texts:
        if text:
            try:
                moments.append(parse_time(text))
            except ValueError:
                continue
    return max(moments, default=datetime.fromtimestamp(0, UTC))
