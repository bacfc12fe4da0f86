"""Answers: objects, lists, tables and metadata in the media type that was negotiated; failures as Status."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec

from kobune.embedded.apiserver.http.message import Pieces, Request, Response
from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.convert import from_storage, many_from_storage, same_bytes
from kobune.embedded.apiserver.rest.negotiation import JSON, Format, negotiate
from kobune.embedded.apiserver.status import StatusError, UnknownPath, bad_request

__all__ = ["document", "failure", "item", "items", "obj", "partial"]

encode = msgspec.json.encode

_WHOLE_BYTES = 512 * 1024
"""A longer list is made and sent in parts: joining many megabytes costs more than all the rest."""
_PIECE_BYTES = 128 * 1024


def failure(error: StatusError, request: Request, warnings: Sequence[str] = ()) -> Response:
    """The Status answer; JSON unless YAML was asked for."""
    if isinstance(error, UnknownPath):
        return Response(404, b"404 page not found\n", "text/plain; charset=utf-8")
    try:
        form = negotiate(request.headers.get("accept", ""), transforms=False)
    except StatusError:
        form = JSON
    return _respond(form, error.code, error.body(), tuple(warnings), error.headers)


def document(request: Request, status: int, body: Any, warnings: Sequence[str] = ()) -> Response:
    """Any document that is no stored object."""
    form = negotiate(request.headers.get("accept", ""), transforms=False)
    if _pretty(request):
        form = replace(form, pretty=True)
    return _respond(form, status, body, tuple(warnings))


async def item(call: Call, status: int, found: Item) -> Response:
    """A stored object: its bytes, unless another form is wanted."""
    form = negotiate(call.request.headers.get("accept", ""))
    plain = form is JSON or (form.media == JSON.media and not form.transform)
    if plain and not _pretty(call.request) and same_bytes(call.resource, found):
        return Response(status, call.resource.head + found.body, warnings=tuple(call.warnings))
    return await obj(call, status, await from_storage(call.resource, found))


def _pretty(request: Request) -> bool:
    return "pretty" in request.raw_query and request.option("pretty").lower() in ("true", "1")


def _form(call: Call) -> Format:
    form = negotiate(call.request.headers.get("accept", ""))
    return replace(form, pretty=True) if _pretty(call.request) else form


async def obj(call: Call, status: int, value: dict[str, Any]) -> Response:
    """An object that was built for this answer."""
    form = _form(call)
    if form.transform == "Table":
        value = render_table(call, form, [value], value.get("metadata", {}).get("resourceVersion", ""))
    elif form.transform == "PartialObjectMetadata":
        value = partial(value, form.version)
    elif form.transform:
        raise StatusError(406, "NotAcceptable", f"object {value.get('kind')} is not a list")
    return _respond(form, status, value, tuple(call.warnings))


async def items(call: Call, found: Sequence[Item], metadata: dict[str, Any]) -> Response:
    """A list, by joining stored bytes where possible."""
    info = call.resource.info
    form = negotiate(call.request.headers.get("accept", ""))
    api_version, list_kind = info.group_version, info.list_kind or f"{info.kind}List"
    codec = "codec" in info.extra and not all(same_bytes(call.resource, one) for one in found)
    if _pretty(call.request):
        form = _form(call)
    if form.media == JSON.media and not form.transform and not _pretty(call.request) and not codec:
        opening = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
            list_kind.encode(),
            api_version.encode(),
            encode(metadata),
        )
        # Items of built-in lists carry no kind; those of custom resources do, as from a real server.
        head = b'{"apiVersion":"%b","kind":"%b",' % (api_version.encode(), info.kind.encode()) if info.custom else b"{"
        if not found:
            return Response(200, opening + b"]}", warnings=tuple(call.warnings))
        bodies = [one.body for one in found]
        length = len(opening) + sum(map(len, bodies)) + len(bodies) * (len(head) + 1) + 1
        if length > _WHOLE_BYTES:
            parts = _pieces(opening + head, b"," + head, bodies, length)
            return Response(200, warnings=tuple(call.warnings), pieces=Pieces(length, parts))
        bodies[0] = opening + head + bodies[0]
        bodies[-1] += b"]}"
        return Response(200, (b"," + head).join(bodies), warnings=tuple(call.warnings))
    objects = await many_from_storage(call.resource, list(found))
    if form.transform == "Table":
        return _respond(form, 200, render_table(call, form, objects, None, metadata), tuple(call.warnings))
    if form.transform == "PartialObjectMetadata":
        raise StatusError(406, "NotAcceptable", f"object {list_kind} is not a single object")
    if form.transform == "PartialObjectMetadataList":
        objects = [partial(one, form.version) for one in objects]
        api_version, list_kind = f"meta.k8s.io/{form.version}", "PartialObjectMetadataList"
    elif not info.custom:
        for one in objects:
            one.pop("apiVersion", None)
            one.pop("kind", None)
    value = {"kind": list_kind, "apiVersion": api_version, "metadata": metadata, "items": objects}
    return _respond(form, 200, value, tuple(call.warnings))


def _pieces(opening: bytes, between: bytes, bodies: list[bytes], length: int) -> Iterator[bytes]:
    """A list's JSON in parts of about `_PIECE_BYTES`."""
    step = max(1, _PIECE_BYTES * len(bodies) // length)
    for start in range(0, len(bodies), step):
        yield (between if start else opening) + between.join(bodies[start : start + step])
    yield b"]}"


def partial(value: dict[str, Any], version: str = "v1") -> dict[str, Any]:
    """Only the metadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": value.get("metadata", {}),
    }


def render_table(
    call: Call,
    form: Format,
    objects: list[dict[str, Any]],
    resource_version: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The Table of some objects; `includeObject` decides what each row carries."""
    from kobune.embedded.apiserver.rest.tables import table

    include = call.request.option("includeObject")
    if include not in ("", "None", "Metadata", "Object"):
        raise bad_request(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": must be'
            " 'Metadata', 'Object', 'None', or empty"
        )
    if metadata is None:
        metadata = {"resourceVersion": resource_version} if resource_version else {}
    return table(call.resource.info, objects, metadata, include, form.version)


def _respond(
    form: Format, status: int, value: Any, warnings: tuple[str, ...], headers: dict[str, str] | None = None
) -> Response:
    if form.media == JSON.media:
        body = encode(value)
        return Response(
            status, msgspec.json.format(body, indent=2) if form.pretty else body, JSON.media, headers, warnings
        )
    return Response(status, _yaml(value), form.media, headers, warnings)


def _yaml(value: Any) -> bytes:
    """YAML as Kubernetes prints it: sorted keys, text of several lines as a block."""
    import yaml

    text = yaml.dump(value, Dumper=_dumper(), sort_keys=True, default_flow_style=False, allow_unicode=True)
    return text.encode()


@cache
def _dumper() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper: Any = type("Dumper", (base,), {})

    def text(self: Any, value: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    dumper.add_representer(str, text)
    return dumper
