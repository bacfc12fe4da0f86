"""Request bodies: media type, decoding, kind check, schema, field validation."""

from typing import Any

import msgspec

from kobune.embedded.apiserver.http.message import Request
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.schema.builtin import BuiltinSchema
from kobune.embedded.apiserver.schema.errors import DecodeError
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.schema.strict import BodyError, read_json, read_yaml
from kobune.embedded.apiserver.status import StatusError, bad_request, too_large, unsupported_media_type

__all__ = ["check_size", "conform", "decode_options", "read", "read_object"]

_DELETE_OPTIONS = BuiltinSchema("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
_JSON = "application/json"
_PROTOBUF = "application/vnd.kubernetes.protobuf"
_YAML = ("application/yaml", "text/yaml", "application/x-yaml")
ACCEPTED = (_JSON, "application/yaml", _PROTOBUF)


def check_size(request: Request) -> None:
    """Raise the 413 answer when the body was over the limit."""
    if request.body_too_large:
        raise too_large("limit is 3145728")


def read(request: Request) -> tuple[Any, list[str]]:
    """The value of a JSON or YAML body and what was given twice. Raises StatusError 400, 413, 415."""
    check_size(request)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in ("", _JSON):
        reader = read_json
    elif media in _YAML:
        reader = read_yaml
    elif media == _PROTOBUF:
        reader = _read_protobuf
    else:
        raise unsupported_media_type(ACCEPTED)
    return reader(request.body)


def _read_protobuf(body: bytes) -> tuple[Any, list[str]]:
    # Loaded when a client sends it: most never do.
    from kobune.embedded.apiserver.protobuf import ProtobufError, decode_object

    try:
        return decode_object(body, "v1", "DeleteOptions"), []
    except ProtobufError as error:
        if not error.supported:
            raise StatusError(415, "UnsupportedMediaType", str(error)) from error
        raise BodyError(str(error)) from error


def read_object(call: Call, info: ResourceInfo, validation: str) -> dict[str, Any]:
    """The object of a request body in the form the server works with. Raises StatusError.

    `validation` is Ignore, Warn or Strict.
    """
    request = call.request
    try:
        value, duplicates = read(request)
    except BodyError as error:
        raise bad_request(_unrecognized(info, request, str(error))) from error
    if not isinstance(value, dict):
        kind = {list: "array", str: "string", bool: "bool", type(None): "null"}.get(type(value), "number")
        detail = f"json: cannot unmarshal {kind} into Go value of type struct"
        raise bad_request(_unrecognized(info, request, detail))
    _check_kind(value, info)
    return conform(call, info, value, validation, duplicates)


def conform(
    call: Call, info: ResourceInfo, value: dict[str, Any], validation: str, duplicates: list[str] | None = None
) -> dict[str, Any]:
    """Bring an object into the server's form; unknown and duplicate fields warn or fail. Changes `value`."""
    value["apiVersion"], value["kind"] = info.group_version, info.kind
    if not isinstance(value.get("metadata"), dict):
        if value.get("metadata") is not None:
            raise bad_request(
                f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: json: cannot unmarshal'
                f" {_json_kind(value['metadata'])} into Go struct field {info.kind}.metadata of type v1.ObjectMeta"
            )
        value["metadata"] = {}
    try:
        unknown = info.schema.decode(value)
    except DecodeError as error:
        raise bad_request(
            f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: {error.reason}'
        ) from error
    value.setdefault("metadata", {})
    lines = [text for text in duplicates or () if text.startswith("line ")]
    problems = [f'duplicate field "{text}"' for text in duplicates or () if text not in lines]
    if lines and validation == "Strict":
        problems.append("yaml: unmarshal errors:" + "".join(f"\n  {text}" for text in lines))
    else:
        problems += lines
    problems += [f'unknown field "{path}"' for path in unknown]
    if problems and validation != "Ignore":
        if validation == "Strict":
            raise bad_request(
                f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: strict decoding error: '
                + ", ".join(problems)
            )
        for problem in problems:
            call.warn(problem)
    return value


def decode_options(request: Request, kind: str) -> dict[str, Any]:
    """The options object in a DELETE body; empty without one. Raises StatusError."""
    check_size(request)
    if not request.body.strip():
        return {}
    try:
        value, _ = read(request)
    except BodyError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(value, dict) or value.get("kind", kind) != kind:
        raise bad_request(f"the object provided is unrecognized (must be of type {kind})")
    try:
        _DELETE_OPTIONS.decode(value)
    except DecodeError as error:
        raise bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {error.reason}') from error
    return value


def _check_kind(value: dict[str, Any], info: ResourceInfo) -> None:
    """The body must be of the kind and version of the URL; a built-in kind may leave both out."""
    api_version, kind = value.get("apiVersion") or "", value.get("kind") or ""
    if not isinstance(kind, str) or not isinstance(api_version, str):
        raise bad_request(f"the object provided is unrecognized (must be of type {info.kind})")
    if info.custom:
        for field, given in (("Kind", kind), ("apiVersion", api_version)):
            if not given:
                raise bad_request(f"Object '{field}' is missing in '{msgspec.json.encode(value).decode()}'")
    if kind and kind != info.kind:
        raise bad_request(
            f'{kind} in version "{api_version.rpartition("/")[2]}" cannot be handled as a {info.kind}: no kind "{kind}"'
            f' is registered for version "{api_version}"'
            if not info.custom
            else f"the kind in the data ({kind}) does not match the expected kind ({info.kind})"
        )
    if api_version and api_version != info.group_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version"
            f" ({info.group_version})"
        )


def _json_kind(value: Any) -> str:
    return {list: "array", str: "string", bool: "bool", dict: "object"}.get(type(value), "number")


def _unrecognized(info: ResourceInfo, request: Request, detail: str) -> str:
    """What a real server says about a body that it can't even tell the kind of."""
    if info.custom:
        return detail
    text = request.body.decode("utf-8", "replace")
    shown = "<empty>" if not text else (text if len(text) <= 30 else text[:30] + " ...")
    return (
        f"the object provided is unrecognized (must be of type {info.kind}): couldn't get version/kind; json parse"
        f" error: {detail} ({shown})"
    )
