"""Tables: the call into `table`."""

from datetime import UTC, datetime
from typing import Any

from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.table import render

__all__ = ["table"]


def table(
    info: ResourceInfo, objects: list[dict[str, Any]], metadata: dict[str, Any], include: str, version: str
) -> dict[str, Any]:
    """The Table of some objects. `include` is None, Metadata (the default) or Object."""
    return render(
        info,
        objects,
        now=datetime.now(UTC),
        include=include or "Metadata",
        list_metadata=metadata,
        version=version,
    )
