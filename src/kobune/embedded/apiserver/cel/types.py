"""The CEL type of a schema, and values in the form that type wants.

Owns: mapping OpenAPI schemas to CEL types (source: Kubernetes' documentation of type mapping in validation rules) and
escaping of property names that are no CEL identifiers. Must not import the CEL library.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

__all__ = ["DYN", "CelType", "escape_name", "from_schema", "to_cel"]


@dataclass(frozen=True, slots=True)
class CelType:
    """A CEL type: `name` is int, double, string, bool, bytes, timestamp, duration, dyn, list or map."""

    name: str
    element: "CelType | None" = None


DYN = CelType("dyn")
_STRING = CelType("string")
_RESERVED = frozenset(
    """as break const continue else false for function if import in let loop null package namespace return true var void
    while""".split()  # noqa: SIM905 - a sentence of words
)
_DURATION = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def from_schema(schema: dict[str, Any]) -> CelType:
    """The declared type of `self` for a schema node. Objects with named fields are dyn."""
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string") or kind is None:
        return DYN
    if kind == "string":
        return CelType(
            {"date-time": "timestamp", "duration": "duration", "byte": "bytes"}.get(_format(schema), "string")
        )
    if kind == "array":
        items = schema.get("items")
        return CelType("list", from_schema(items) if isinstance(items, dict) else DYN)
    if kind == "object":
        # An object with named fields may be compared with null, which a map may not.
        values = schema.get("additionalProperties")
        return CelType("map", from_schema(values)) if isinstance(values, dict) else DYN
    return CelType({"integer": "int", "number": "double", "boolean": "bool"}.get(str(kind), "dyn"))


def _format(schema: dict[str, Any]) -> str:
    return str(schema.get("format", ""))


def escape_name(name: str) -> str | None:
    """A property's name in CEL; None when it can't be reached."""
    if name in _RESERVED:
        return f"__{name}__"
    if re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) and "__" not in name:
        return name
    if not re.fullmatch(r"[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*", name):
        return None
    name = name.replace("__", "__underscores__").replace(".", "__dot__").replace("-", "__dash__")
    return name.replace("/", "__slash__")


def _timestamp(text: str) -> Any:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _duration(text: str) -> Any:
    parts = _DURATION.findall(text)
    if not parts:
        return text
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


_TEXT: dict[str, Callable[[str], Any]] = {
    "date-time": _timestamp,
    "duration": _duration,
    "byte": lambda text: text.encode(),
}


def to_cel(value: Any, schema: dict[str, Any], *, typed: bool = True) -> Any:
    """A JSON value as `self` of that schema: numbers of type number are doubles, property names are escaped.

    Times and durations are converted where the type is declared (`typed`); below an object's named fields, whose
    declared type is dyn, they stay text: the library takes no Python times there (see `checking` for those).
    """
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        values = schema.get("additionalProperties")
        rest = values if isinstance(values, dict) else {}
        if not properties:
            return {k: to_cel(v, rest, typed=typed) for k, v in value.items()} if rest else value
        result = {}
        for key, entry in value.items():
            sub = properties.get(key)
            if sub is None:
                result[key] = to_cel(entry, rest, typed=False)
                continue
            name = escape_name(key)
            if name is not None:
                result[name] = to_cel(entry, sub, typed=False)
        return result
    if isinstance(value, list):
        items = schema.get("items")
        return [to_cel(v, items, typed=typed) for v in value] if isinstance(items, dict) else value
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if typed and isinstance(value, str) and schema.get("type") == "string":
        convert = _TEXT.get(_format(schema))
        return convert(value) if convert else value
    return value
