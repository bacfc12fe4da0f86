"""Table and PartialObjectMetadata documents.

Owns: putting columns and rows together. `now` is given, so that ages can be tested.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from kobune.embedded.apiserver.schema.resource import Column, ResourceInfo
from kobune.embedded.apiserver.table.builtin import BUILTIN
from kobune.embedded.apiserver.table.cells import age
from kobune.embedded.apiserver.table.jsonpath import JsonPathError, evaluate, parse

__all__ = ["partial_metadata", "render"]

_NAME_TEXT = "Name must be unique within a namespace."
_DATE_TEXT = "CreationTimestamp is a timestamp representing the server time when this object was created."


def _column(name: str, kind: str = "string", form: str = "", text: str = "", priority: int = 0) -> dict[str, Any]:
    return {"name": name, "type": kind, "format": form, "description": text, "priority": priority}


_NAME_COLUMN = _column("Name", form="name", text=_NAME_TEXT)


def partial_metadata(obj: dict[str, Any], version: str = "v1") -> dict[str, Any]:
    """PartialObjectMetadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata", {}),
    }


def render(
    info: ResourceInfo,
    objects: Sequence[dict[str, Any]],
    *,
    now: datetime,
    include: str = "Metadata",
    list_metadata: dict[str, Any] | None = None,
    version: str = "v1",
) -> dict[str, Any]:
    """The Table of these objects. `include` is Metadata, Object or None: what each row carries besides its cells."""
    columns = _columns(info)
    rows = []
    for obj in objects:
        row: dict[str, Any] = {"cells": _cells(info, obj, now), "object": None}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = partial_metadata(obj, version)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": list_metadata or {},
        "columnDefinitions": columns,
        "rows": rows,
    }


def _columns(info: ResourceInfo) -> list[dict[str, Any]]:
    if info.custom:
        own = [_column(c.name, c.type, c.format, c.description, c.priority) for c in info.columns or ()]
        return [_NAME_COLUMN, *own]
    return _builtin_columns(info.kind)


@cache
def _builtin_columns(kind: str) -> list[dict[str, Any]]:
    found = BUILTIN.get(kind)
    if found is None:
        return [_NAME_COLUMN, _column("Created At", "date", text=_DATE_TEXT)]
    result = []
    for text in found[0]:
        name, _, suffix = text.partition(":")
        priority = int(name.startswith("+"))
        name = name.lstrip("+")
        if name == "Name" and not priority:
            result.append(_NAME_COLUMN)
        else:
            result.append(_column(name, suffix or "string", priority=priority))
    return result


def _cells(info: ResourceInfo, obj: dict[str, Any], now: datetime) -> list[Any]:
    if info.custom:
        return [obj["metadata"].get("name", ""), *(_cell(c, obj, now) for c in info.columns or ())]
    found = BUILTIN.get(info.kind)
    if found is None:
        meta = obj["metadata"]
        return [meta.get("name", ""), meta.get("creationTimestamp")]
    return found[1](obj, now)


def _cell(column: Column, obj: dict[str, Any], now: datetime) -> Any:
    """One cell of a custom resource: null when the path leads nowhere or to a value of another type."""
    try:
        found = evaluate(parse(column.json_path), obj)
    except JsonPathError:
        return None
    if not found:
        return None
    value = found[0]
    if column.type == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if column.type == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if column.type == "boolean":
        return value if isinstance(value, bool) else None
    if column.type == "date":
        return age(value, now) if isinstance(value, str) else None
    return ",".join(_text(v) for v in found)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return msgspec.json.encode(value).decode()
