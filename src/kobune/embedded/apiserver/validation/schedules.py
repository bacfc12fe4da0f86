"""Schedules and time zones of CronJobs, with the words of the parser that Kubernetes uses."""

import zoneinfo
from functools import cache

__all__ = ["schedule_problem", "zone_problem"]

_FIELDS = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    (0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_NAMED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


def schedule_problem(text: str) -> str:
    """Why a text is no schedule; empty when it is one."""
    if text.startswith("@"):
        if text in _NAMED or text.startswith("@every "):
            return ""
        return f"unrecognized descriptor: {text}"
    parts = text.split()
    if len(parts) != 5:
        return f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]"
    for part, (low, high, names) in zip(parts, _FIELDS, strict=True):
        for piece in part.split(","):
            wrong = _range_problem(piece, low, high, names)
            if wrong:
                return wrong
    return ""


def _range_problem(piece: str, low: int, high: int, names: tuple[str, ...]) -> str:
    span, *step = piece.split("/")
    if len(step) > 1:
        return f"too many slashes: {piece}"
    first, *last = span.split("-")
    if len(last) > 1:
        return f"too many hyphens: {piece}"
    if first in ("*", "?"):
        start, end = low, high
    else:
        found = _number(first, names, low)
        if isinstance(found, str):
            return found
        start = end = found
        if last:
            found = _number(last[0], names, low)
            if isinstance(found, str):
                return found
            end = found
        elif step:
            end = high
    if step:
        amount = _number(step[0], (), 0)
        if isinstance(amount, str):
            return amount
        if amount == 0:
            return f"step of range should be a positive number: {piece}"
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {piece}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {piece}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {piece}"
    return ""


def _number(text: str, names: tuple[str, ...], low: int) -> int | str:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if text.lstrip("+-").isdigit() and text.isascii():
        number = int(text)
        return number if number >= 0 else f"negative number ({number}) not allowed: {text}"
    return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def zone_problem(name: str) -> str:
    """Why a name is no time zone; empty when it is one."""
    if not name:
        return "timeZone must be nil or non-empty string"
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    zones = _zones()
    # A machine without the database can't tell: then the name is taken as it is.
    return f"unknown time zone {name}" if zones and name not in zones else ""
