"""Tables: the call into `table`, with metadata and row objects."""

from typing import Any

from kobune.embedded.apiserver.schema.resource import ResourceInfo

__all__ = ["table"]


def table(
    info: ResourceInfo, objects: list[dict[str, Any]], metadata: dict[str, Any], include: str, version: str
) -> dict[str, Any]:
    """The Table of some objects. `include` is None, Metadata (the default) or Object."""
    columns = [
        {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
        {"name": "Created At", "type": "date", "format": "", "description": "", "priority": 0},
    ]
    rows = []
    for obj in objects:
        meta = obj["metadata"]
        row: dict[str, Any] = {"cells": [meta.get("name"), meta.get("creationTimestamp")]}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{version}",
                "metadata": meta,
            }
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    }
