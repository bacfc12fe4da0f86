"""A clock that moves only when a test says so."""

import asyncio
from datetime import UTC, datetime, timedelta

__all__ = ["FakeClock"]


class FakeClock:
    """Keeps `kobune.base.clock.Clock`. `advance` wakes sleepers in order of their moment."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = now
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The wall clock."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced that far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed_s + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass: every sleeper due within it wakes at its own moment and runs before the next one."""
        await settle()  # tasks that were just started get to their sleep first
        end_s = self._elapsed_s + seconds
        while due := [entry for entry in self._sleepers if entry[0] <= end_s and not entry[1].done()]:
            moment_s, future = min(due, key=lambda entry: entry[0])
            self._elapsed_s = max(self._elapsed_s, moment_s)
            self._sleepers = [entry for entry in self._sleepers if entry[1] is not future and not entry[1].done()]
            future.set_result(None)
            await settle()
        self._elapsed_s = end_s
        await settle()


async def settle(turns: int = 20) -> None:
    """Give other tasks some turns of the event loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
