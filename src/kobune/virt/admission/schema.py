"""Checks an object against its schema before defaults are set, and fills what must be there but has an empty value.

Owns: the two rules by which a mutating webhook treats incomplete objects as KubeVirt does: required texts, numbers and
objects that are left out count as empty (the validating webhook has better words for them); some, which have no
sensible empty value, are refused. Pure.
"""

import re
from typing import Any, Final

from msgspec import Struct

from kobune.api.crd import structural_schema
from kobune.virt.admission.review import Problem

__all__ = ["Unreadable", "complete"]

Document = dict[str, Any]

_EMPTY: Final = {"string": "", "integer": 0, "number": 0, "boolean": False}
_NEVER_EMPTY: Final = ("template", "selector", "virtiofs")
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_NEEDS_SPEC: Final = ("VirtualMachineInstance", "VirtualMachineInstanceMigration")


class Unreadable(ValueError):
    """A value that cannot be decoded at all; the message says which and why."""


def complete(kind: type[Struct], obj: Document) -> list[Problem]:
    """Fill `obj` in place; returns what is wrong with it. Raises `Unreadable`."""
    problems: list[Problem] = []
    if obj.get("spec") is None and kind.__name__ in _NEEDS_SPEC:
        return [Problem("", "", "spec in body is required")]
    _walk(structural_schema(kind)["properties"]["spec"], obj.setdefault("spec", {}), "spec", problems)
    return problems


def _walk(schema: Document, value: Any, path: str, problems: list[Problem]) -> None:
    """`path` is as messages give it: indexes of lists are left out."""
    if value is None and schema.get("nullable"):
        return
    kind = schema.get("type")
    if kind is None:
        _quantity(schema, value, path)
        return
    fits: bool = isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not fits:
        problems.append(Problem("", "", f'{path} in body must be of type {kind}: "{_type_of(value)}"'))
        return
    if schema.get("minimum") == 0 and value < 0:
        raise Unreadable(f"{path}: the number {value} must not be negative")
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        problems.append(Problem("", "", f"{path} in body should be one of [{' '.join(allowed)}]"))
    if kind == "object":
        _object(schema, value, path, problems)
    elif kind == "array":
        for item in value:
            _walk(schema.get("items") or {}, item, path, problems)


def _quantity(schema: Document, value: Any, path: str) -> None:
    pattern = schema.get("pattern")
    if pattern is not None and isinstance(value, str) and re.match(pattern, value) is None:
        raise Unreadable(f"{path}: {value[:64]!r} is not a quantity: use a number with a suffix such as 512Mi or 500m")


def _object(schema: Document, value: Document, path: str, problems: list[Problem]) -> None:
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if value.get(name) is not None:
            continue
        kind = properties[name].get("type")
        if kind in _EMPTY:
            value[name] = _EMPTY[kind]
        elif kind == "object" and name not in _NEVER_EMPTY:
            value[name] = {}
        else:
            problems.append(Problem("", "", f"{path}.{name} in body is required"))
    for name, part in properties.items():
        if value.get(name) is not None and name != "metadata":
            _walk(part, value[name], f"{path}.{name}", problems)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        for name, item in value.items():
            if name not in properties:
                _walk(extra, item, f"{path}.{name}", problems)


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
