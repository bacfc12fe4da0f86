"""Answers of /openapi: documents from `openapi`, kept while the registry stays the same, with hashes and media types.

Documents are large and mostly repetition: they are kept compressed.
"""

import hashlib
import zlib
from collections.abc import Callable

import msgspec

from kobune.embedded.apiserver.http.message import AnyResponse, Request, Response
from kobune.embedded.apiserver.openapi import encode_v2, v2_document, v3_document, v3_index, v3_version_document
from kobune.embedded.apiserver.registry.registry import Registry
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.status import not_acceptable

__all__ = ["OpenApiAnswers"]

_V2_PROTO = "application/com.github.proto-openapi.spec.v2"
_V3_PROTO = "application/com.github.proto-openapi.spec.v3"
_KEPT = 40


class OpenApiAnswers:
    """Builds documents when they are asked for; `built` is told after each."""

    def __init__(self, registry: Registry, built: Callable[[], None]) -> None:
        self._registry = registry
        self._built = built
        self._cache: dict[str, bytes] = {}
        self._cached_at = -1

    async def answer(self, request: Request, parts: list[str]) -> AnyResponse:
        """/openapi/v2, /openapi/v3 and /openapi/v3/GROUP/VERSION. Raises StatusError."""
        accept = request.headers.get("accept", "")
        if parts == ["v2"]:
            if "proto-openapi.spec.v2" in accept:
                # A client that asks for the protobuf form by name can't read the other one.
                body = self._cached("v2.pb", lambda: encode_v2(v2_document(self._infos())))
                return _document(request, body, f"{_V2_PROTO}.v1.0+protobuf")
            _check_json(accept)
            body = self._cached("v2", lambda: msgspec.json.encode(v2_document(self._infos())))
            return _document(request, body, "application/json")
        if parts == ["v3"]:
            body = self._cached("v3", lambda: msgspec.json.encode(v3_index(self._infos())))
            return _document(request, body, "application/json")
        if parts == ["v3", "version"]:
            body = self._cached("v3/version", lambda: msgspec.json.encode(v3_version_document()))
            return _document(request, body, "application/json")
        if parts[:2] == ["v3", "api"] and len(parts) == 3:
            group, version = "", parts[2]
        elif parts[:2] == ["v3", "apis"] and len(parts) == 4:
            group, version = parts[2], parts[3]
        else:
            return Response(404, b"404 page not found\n", "text/plain; charset=utf-8")
        infos = [resource.info for resource in self._registry.resources(group, version)]
        if not infos:
            return Response(404, b"404 page not found\n", "text/plain; charset=utf-8")
        if _V3_PROTO in accept and "json" not in accept:
            raise not_acceptable(("application/json",))
        body = self._cached(f"v3/{group}/{version}", lambda: msgspec.json.encode(v3_document(infos)))
        return _document(request, body, "application/json")

    def _infos(self) -> list[ResourceInfo]:
        return [resource.info for resource in self._registry.all()]

    def _cached(self, name: str, build: Callable[[], bytes]) -> bytes:
        generation = self._registry.generation
        if self._cached_at != generation or len(self._cache) >= _KEPT:
            self._cache.clear()
            self._cached_at = generation
        kept = self._cache.get(name)
        if kept is not None:
            return zlib.decompress(kept)
        body = build()
        self._cache[name] = zlib.compress(body, 1)
        self._built()
        return body


def _check_json(accept: str) -> None:
    if accept and not any(word in accept for word in ("json", "*/*", "application/*")):
        raise not_acceptable(("application/json", f"{_V2_PROTO}@v1.0+protobuf"))


def _document(request: Request, body: bytes, media: str) -> Response:
    tag = hashlib.sha256(body).hexdigest().upper()
    headers = {"ETag": f'"{tag}"', "Vary": "Accept"}
    if request.headers.get("if-none-match", "").strip('"') == tag:
        return Response(304, b"", "", headers)
    return Response(200, body, media, headers)
