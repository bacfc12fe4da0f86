"""The scale subresource of built-in and custom resources: a Scale in front of a few fields of the object."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from kobune.embedded.apiserver.http.message import AnyResponse
from kobune.embedded.apiserver.patch import PatchError, json_patch, merge_patch, strategic_merge_patch
from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.rest import respond
from kobune.embedded.apiserver.rest.body import conform, read
from kobune.embedded.apiserver.rest.call import Admission, Call
from kobune.embedded.apiserver.rest.convert import from_storage
from kobune.embedded.apiserver.rest.options import WriteOptions, write_options
from kobune.embedded.apiserver.rest.write import options_object, update_object
from kobune.embedded.apiserver.schema.builtin import BuiltinSchema
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.schema.strict import BodyError, read_json
from kobune.embedded.apiserver.status import StatusError, bad_request, invalid, method_not_allowed, not_found

__all__ = ["scale"]

_SCALE = ResourceInfo(
    group="autoscaling",
    version="v1",
    plural="scales",
    singular="scale",
    kind="Scale",
    namespaced=True,
    schema=BuiltinSchema("io.k8s.api.autoscaling.v1.Scale"),
    stored=False,
)


async def scale(call: Call) -> AnyResponse:
    """GET, PUT or PATCH of /scale."""
    info = call.resource.info
    found = call.resource.collection.get(call.info.namespace if info.namespaced else "", call.info.name)
    if found is None:
        raise not_found(info.group, info.plural, call.info.name)
    if call.info.verb == "get":
        return await respond.obj(call, 200, _render(info, await from_storage(call.resource, found)))
    if call.info.verb not in ("update", "patch"):
        raise method_not_allowed()
    patching = call.info.verb == "patch"
    options = write_options(call.request, kind="PatchOptions" if patching else "UpdateOptions", patch=patching)
    call.dry_run = options.dry_run
    call.options = options_object("PatchOptions" if patching else "UpdateOptions", call, options)
    reader = _patcher(call, options) if patching else _replacer(call, options)

    async def transform(old: dict[str, Any] | None) -> dict[str, Any]:
        assert old is not None
        wanted = reader(_render(info, old))
        replicas = (wanted.get("spec") or {}).get("replicas", 0)
        if replicas < 0 and not info.custom:
            error = FieldError.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise invalid("autoscaling", "Scale", call.info.name, [error])
        assert info.scale is not None
        _set(old, info.scale.spec_replicas_path, replicas)
        version = wanted["metadata"].get("resourceVersion")
        if version:
            old["metadata"]["resourceVersion"] = version
        uid = wanted["metadata"].get("uid")
        if uid:
            old["metadata"]["uid"] = uid
        return old

    subresource, call.info.subresource = call.info.subresource, ""
    call.owner_subresource = subresource
    services = call.services
    call.services = replace(services, admission=_ScaleAdmission(services.admission))
    try:
        result, _ = await update_object(call, transform, options, "Update")
    finally:
        call.info.subresource, call.services = subresource, services
    obj = await from_storage(call.resource, result) if isinstance(result, Item) else result
    return await respond.obj(call, 200, _render(info, obj))


class _ScaleAdmission:
    """Hooks and policies see the Scale, whose replicas they may change, and not the object behind it."""

    def __init__(self, inner: Admission) -> None:
        self._inner = inner

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """See Admission."""
        info = call.resource.info
        assert obj is not None
        assert old is not None
        assert info.scale is not None
        seen = _render(info, obj)
        with _as_scale(call):
            await self._inner.mutate(call, operation, seen, _render(info, old))
        if call.changed:
            _set(obj, info.scale.spec_replicas_path, (seen.get("spec") or {}).get("replicas", 0))

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """See Admission."""
        info = call.resource.info
        assert obj is not None
        assert old is not None
        with _as_scale(call):
            await self._inner.validate(call, operation, _render(info, obj), _render(info, old))

    async def review(self, call: Call, operation: str, obj: dict[str, Any]) -> None:
        """Not used by writes."""
        await self._inner.review(call, operation, obj)


@contextlib.contextmanager
def _as_scale(call: Call) -> Iterator[None]:
    call.info.subresource, call.body_kind = "scale", (_SCALE.group, _SCALE.version, _SCALE.kind)
    try:
        yield
    finally:
        call.info.subresource, call.body_kind = "", None


def _replacer(call: Call, options: WriteOptions) -> Any:
    try:
        value, duplicates = read(call.request)
    except BodyError as error:
        raise bad_request(str(error)) from error
    if not isinstance(value, dict):
        raise bad_request("the object provided is unrecognized (must be of type Scale)")
    wanted = conform(call, _SCALE, value, options.field_validation, duplicates)
    name = wanted["metadata"].get("name")
    if name and name != call.info.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.info.name})")
    return lambda current: wanted


def _patcher(call: Call, options: WriteOptions) -> Any:
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        document, duplicates = read_json(call.request.body)
    except BodyError as error:
        raise bad_request(f"error decoding patch: {error}") from error

    def patched(current: dict[str, Any]) -> dict[str, Any]:
        try:
            match media:
                case "application/json-patch+json":
                    new = json_patch(current, document)
                case "application/merge-patch+json":
                    new = merge_patch(current, document)
                case "application/strategic-merge-patch+json":
                    new = strategic_merge_patch(current, document, _SCALE.schema.shape)
                case _:
                    raise bad_request("the body of the request was in an unknown format")
        except PatchError as error:
            raise StatusError(error.code, error.reason, str(error)) from error
        return conform(call, _SCALE, new, options.field_validation, duplicates)

    return patched


def _render(info: ResourceInfo, obj: dict[str, Any]) -> dict[str, Any]:
    paths = info.scale
    assert paths is not None
    metadata = obj["metadata"]
    kept = {
        name: metadata[name]
        for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if name in metadata
    }
    spec: dict[str, Any] = {}
    replicas = _get(obj, paths.spec_replicas_path)
    if replicas is None and info.custom:
        raise StatusError(
            500,
            "InternalError",
            f'Internal error occurred: the spec replicas field "{paths.spec_replicas_path}" does not exist',
            {"causes": [{"message": f'the spec replicas field "{paths.spec_replicas_path}" does not exist'}]},
        )
    if replicas:
        spec["replicas"] = replicas
    status: dict[str, Any] = {"replicas": _get(obj, paths.status_replicas_path) or 0}
    if info.custom:
        selector = _get(obj, paths.label_selector_path) if paths.label_selector_path else None
    else:
        selector = _selector_text((obj.get("spec") or {}).get("selector"))
    if selector:
        status["selector"] = selector
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept, "spec": spec, "status": status}


def _selector_text(selector: Any) -> str:
    """A label selector as text."""
    if not isinstance(selector, dict):
        return ""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[expression["operator"]]
        )
    return ",".join(terms)


def _get(obj: Any, path: str) -> Any:
    for name in path.lstrip(".").split("."):
        if not isinstance(obj, dict):
            return None
        obj = obj.get(name)
    return obj


def _set(obj: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.lstrip(".").split(".")
    for name in parents:
        obj = obj.setdefault(name, {})
    obj[last] = value
