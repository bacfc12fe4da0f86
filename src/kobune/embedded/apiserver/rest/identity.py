"""Whether an update means the object that is stored, as it is stored: name, namespace, UID, resourceVersion."""

from typing import Any

from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.status import bad_request, conflict, invalid, modified
from kobune.embedded.apiserver.strategy import strategy_for

__all__ = ["check_identity"]


def check_identity(call: Call, new: dict[str, Any], old: dict[str, Any], revision: int) -> None:
    """Refuse an object that is meant for another one or for another revision; `new` gets the revision and namespace of
    what is stored. Raises StatusError.
    """
    info, strategy, meta = call.resource.info, strategy_for(call.resource.info), new["metadata"]
    version = meta.get("resourceVersion") or ""
    patch = call.request.method == "PATCH"
    if not version and not patch and not strategy.unconditional_update:
        detail = f"Invalid value: {'0' if info.custom else '0x0'}: must be specified for an update"
        error = FieldError("FieldValueInvalid", "metadata.resourceVersion", detail)
        raise invalid(info.group, info.plural if info.custom else info.kind, call.info.name, [error])
    uid = meta.get("uid")
    if uid and uid != old["metadata"].get("uid") and not patch:
        raise conflict(
            info.group,
            info.plural,
            call.info.name,
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata'].get('uid', '')}",
        )
    if version and version != "0" and version != str(revision):
        if not version.isdigit():
            error = FieldError.invalid(
                "metadata.resourceVersion", version, f'strconv.ParseUint: parsing "{version}": invalid syntax'
            )
            raise invalid(info.group, info.kind, call.info.name, [error])
        raise modified(info.group, info.plural, call.info.name)
    meta["resourceVersion"] = str(revision)
    if meta.get("name", call.info.name) != call.info.name:
        raise _renamed(call, meta["name"])
    if (meta.get("namespace") or "") != (old["metadata"].get("namespace") or ""):
        if patch:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        meta["namespace"] = old["metadata"].get("namespace") or ""


def _renamed(call: Call, name: str) -> Exception:
    info = call.resource.info
    if call.request.method == "PATCH":
        return bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.info.name})")
    error = FieldError.invalid("metadata.name", name, "field is immutable")
    return invalid(info.group, info.kind, call.info.name, [error])
