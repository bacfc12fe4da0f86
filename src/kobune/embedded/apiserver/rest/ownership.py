"""Field ownership on writes: which manager wrote, and the call into `apply` that keeps metadata.managedFields."""

from typing import Any

from kobune.embedded.apiserver.apply import update_managed
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.options import WriteOptions
from kobune.embedded.apiserver.timestamps import now

__all__ = ["record"]


def manager_name(call: Call, options: WriteOptions) -> str:
    """The field manager: as asked, else the user agent up to its first slash."""
    if options.field_manager:
        return options.field_manager
    agent = call.request.headers.get("user-agent", "")
    return agent.partition("/")[0][:128] or "unknown"


def record(call: Call, new: dict[str, Any], old: dict[str, Any] | None, options: WriteOptions) -> None:
    """Note which fields a create (`old` is None) or an update set. Applied objects have theirs already."""
    if call.owned:
        return
    update_managed(
        call.resource.info,
        old,
        new,
        manager=manager_name(call, options),
        now=now(),
        subresource=call.info.subresource or call.owner_subresource,
    )
