"""The real clock. Tests use `kobune.kube.testing.clock.FakeClock`."""

import asyncio
import time
from datetime import UTC, datetime

__all__ = ["SystemClock"]


class SystemClock:
    """Keeps `kobune.base.clock.Clock` with the machine's clocks and asyncio's sleep."""

    def now(self) -> datetime:
        """The wall clock as an aware UTC datetime."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that long without blocking the loop."""
        await asyncio.sleep(seconds)
