"""The clock as a type, so that decisions and loops can be tested without waiting.

Owns: what "now" means. Decisions never take a `Clock`; they take the `now` that `observe` put into their input.
"""

from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "format_micro_time", "format_time", "parse_time"]


class Clock(Protocol):
    """What a loop needs of time: the wall clock, a monotonic clock and a way to wait."""

    def now(self) -> datetime:
        """The wall clock as an aware UTC datetime."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


def format_time(moment: datetime) -> str:
    """Render metav1.Time: RFC 3339, UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(moment: datetime) -> str:
    """Render metav1.MicroTime: RFC 3339, UTC, six fractional digits, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Parse metav1.Time or metav1.MicroTime.

    Raises ValueError when `text` is no RFC 3339 time or has no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)
