"""Texts in cells: ages, selectors, ports, lists.

Owns: formatting that several kinds share. `now` is always given.
"""

from datetime import datetime
from typing import Any

from kobune.base.clock import parse_time

__all__ = ["NONE", "Obj", "age", "duration", "labels_text", "name_of", "selector_text", "short_age"]

NONE = "<none>"
Obj = dict[str, Any]
"""An object in stored form."""


def name_of(obj: Obj) -> str:
    """The name of an object."""
    return str(obj["metadata"].get("name", ""))


def duration(seconds: float) -> str:
    """A length of time as kubectl shows it: 45s, 5m3s, 3h2m, 2d4h, 30d, 2y30d."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        rest = total % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = total // 3600
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        rest = hours % 24
        return f"{days}d{rest}h" if rest else f"{days}d"
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years = days // 365
    if hours < 24 * 365 * 8:
        rest = days % 365
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"


def age(text: Any, now: datetime) -> str:
    """How long ago an RFC 3339 time was; <unknown> when there is none."""
    if not isinstance(text, str) or not text:
        return "<unknown>"
    try:
        return duration((now - parse_time(text)).total_seconds())
    except ValueError:
        return "<unknown>"


def short_age(obj: dict[str, Any], now: datetime) -> str:
    """The age of an object."""
    return age((obj.get("metadata") or {}).get("creationTimestamp"), now)


def labels_text(labels: dict[str, Any] | None) -> str:
    """Labels as a selector: a=b,c=d."""
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or NONE


def selector_text(selector: dict[str, Any] | None) -> str:
    """A label selector."""
    if not selector:
        return NONE
    parts = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or ():
        key, operator, values = expression.get("key"), expression.get("operator"), expression.get("values") or []
        if operator == "In":
            parts.append(f"{key} in ({','.join(sorted(values))})")
        elif operator == "NotIn":
            parts.append(f"{key} notin ({','.join(sorted(values))})")
        elif operator == "Exists":
            parts.append(str(key))
        else:
            parts.append(f"!{key}")
    return ",".join(parts) or NONE
