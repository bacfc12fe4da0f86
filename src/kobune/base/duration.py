"""Durations as Go writes them in specifications, such as `1h30m` or `2.5s`."""

import re
from datetime import timedelta
from typing import Final

__all__ = ["parse_duration"]

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> timedelta:
    """The length of time that `text` means. Raises ValueError."""
    unsigned = text.removeprefix("-").removeprefix("+")
    if unsigned == "0":
        return timedelta()
    parts = _PART.findall(unsigned)
    if not parts or "".join(number + unit for number, unit in parts) != unsigned:
        raise ValueError(f"{text!r} is no duration: write it like 5m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)
