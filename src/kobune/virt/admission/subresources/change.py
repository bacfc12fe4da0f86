"""Changes an object on the state that the change was planned on: planned anew when somebody else was faster."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from kobune.api.meta import ObjectMeta
from kobune.kube.client.errors import Conflict
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import PatchType

__all__ = ["Change", "change_object"]

ATTEMPTS: Final = 5

Change = Callable[[dict[str, Any]], dict[str, Any]]
"""From an object (or a part of it) as decoded JSON to a merge patch of it."""


async def change_object(
    client: Client, resource: Resource[Any], metadata: ObjectMeta, change: Change, *, dry_run: bool
) -> None:
    """Raises ApiError, and what `change` raises. With `dry_run` the API server checks the change and forgets it."""
    path = resource.path(metadata.namespace, metadata.name)
    query = "?dryRun=All" if dry_run else ""
    for attempt in range(ATTEMPTS):
        raw = msgspec.json.decode(await client.raw("GET", path))
        patch = change(raw)
        version = {"resourceVersion": raw["metadata"]["resourceVersion"], "uid": metadata.uid}
        body = msgspec.json.encode({**patch, "metadata": {**patch.get("metadata", {}), **version}})
        try:
            await client.raw("PATCH", path + query, body=body, content_type=PatchType.MERGE)
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return
