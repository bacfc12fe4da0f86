"""Server-side apply: PATCH with an apply configuration, as a transform in the update pipeline."""

from typing import Any

import msgspec

from kobune.embedded.apiserver.apply import ApplyConflict, ApplyError, server_side_apply
from kobune.embedded.apiserver.http.message import Response
from kobune.embedded.apiserver.rest.body import conform
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.options import write_options
from kobune.embedded.apiserver.rest.write import answer, options_object, update_object
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.strict import BodyError, read_yaml
from kobune.embedded.apiserver.status import StatusError, bad_request, invalid
from kobune.embedded.apiserver.timestamps import now

__all__ = ["apply"]


async def apply(call: Call) -> Response:
    """Apply a configuration; creates the object when it does not exist and the main resource is applied to."""
    info = call.resource.info
    options = write_options(call.request, kind="PatchOptions", patch=True, apply=True)
    if not options.field_manager:
        error = FieldError.required("fieldManager", "is required for apply patch")
        raise invalid("meta.k8s.io", "PatchOptions", "", [error])
    call.dry_run = options.dry_run
    call.options = options_object("PatchOptions", call, options)
    duplicates: list[str] = []
    configs = [_read(call, duplicates)]
    namespace = call.info.namespace

    async def transform(old: dict[str, Any] | None) -> dict[str, Any]:
        # The result takes parts of the configuration over and is changed later: a second attempt reads it anew.
        config = configs.pop() if configs else _read(call, [])
        try:
            new = server_side_apply(
                info,
                old,
                config,
                manager=options.field_manager,
                now=now(),
                force=bool(options.force),
                subresource=call.info.subresource,
            )
        except ApplyConflict as error:
            raise StatusError(409, "Conflict", str(error), {"causes": error.causes}) from error
        except ApplyError as error:
            raise StatusError(error.code, error.reason, error.message) from error
        if options.field_manager == "kubectl" and old is not None:
            _refresh_last_applied(new, old, config)
        if old is None and info.namespaced:
            new["metadata"]["namespace"] = namespace
        call.owned = True
        return conform(call, info, new, options.field_validation, duplicates)

    result, created = await update_object(call, transform, options, "Apply", force_create=not call.info.subresource)
    return await answer(call, result, created)


_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LAST_APPLIED_LIMIT = 262_144


def _refresh_last_applied(new: dict[str, Any], old: dict[str, Any], config: dict[str, Any]) -> None:
    """kubectl's own record of what it applied stays true when it changes to server-side apply."""
    if _LAST_APPLIED not in (old["metadata"].get("annotations") or {}):
        return
    annotations = new["metadata"].get("annotations") or {}
    if _LAST_APPLIED not in annotations:
        return
    kept = {key: value for key, value in config.items() if key != "status"}
    kept["metadata"] = {
        **config["metadata"],
        "annotations": {k: v for k, v in (config["metadata"].get("annotations") or {}).items() if k != _LAST_APPLIED},
    }
    if not kept["metadata"]["annotations"]:
        del kept["metadata"]["annotations"]
    text = msgspec.json.encode(kept, order="sorted").decode() + "\n"
    if len(text) <= _LAST_APPLIED_LIMIT:
        new["metadata"]["annotations"] = {**annotations, _LAST_APPLIED: text}


def _read(call: Call, duplicates: list[str]) -> dict[str, Any]:
    info = call.resource.info
    try:
        value, repeated = read_yaml(call.request.body)
    except BodyError as error:
        raise bad_request(f"error decoding YAML: {error}") from error
    if repeated and call.request.option("fieldValidation") == "Strict":
        lines = "".join(f"\n  {text}" for text in repeated)
        raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:{lines}")
    duplicates.extend(repeated)
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: the configuration is no object")
    api_version, kind = value.get("apiVersion"), value.get("kind")
    if not kind or not api_version:
        group, _, version = (api_version or "").rpartition("/")
        raise bad_request(f"invalid object type: {group}/{version}, Kind={kind or ''}")
    if api_version != info.group_version or kind != info.kind:
        what, given, expected = (
            ("API version", api_version, info.group_version) if kind == info.kind else ("kind", kind, info.kind)
        )
        raise bad_request(f"the {what} in the data ({given}) does not match the expected {what} ({expected})")
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request("error decoding YAML: metadata is no object")
    value["metadata"] = metadata
    name = metadata.get("name")
    if name and name != call.info.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.info.name})")
    metadata["name"] = call.info.name
    namespace = metadata.get("namespace")
    if namespace and namespace != call.info.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    return value
