"""A container registry on loopback that serves OCI archives: what a kubelet pulls from, without the network.

The read side of the OCI distribution API (https://github.com/opencontainers/distribution-spec): manifests by tag and by
digest, blobs with ranges. With `credentials` it wants them by HTTP basic authentication, as a private registry does.
"""

import base64
import hashlib
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

__all__ = ["Registry", "serve_registry"]

_CHUNK_BYTES = 1 << 20


class Registry:
    """Images by `name:tag`, for example `team/demo:v1`. `requests` records what was asked for: `GET /v2/...`."""

    def __init__(self, credentials: tuple[str, str] | None = None) -> None:
        self.requests: list[str] = []
        self.address = ""
        self._credentials = credentials
        self._archives: dict[str, tuple[Path, str]] = {}
        self._manifests: dict[str, tuple[str, bytes]] = {}
        self._blobs: dict[str, tuple[Path, str]] = {}

    def add(self, name: str, archive: Path) -> str:
        """Serve an OCI archive as `name` (with its tag); returns the manifest's digest."""
        with tarfile.open(archive) as tar:
            index = json.loads(_member(tar, "index.json"))
            described = index["manifests"][0]
            digest: str = described["digest"]
            manifest = _member(tar, _blob_path(digest))
            parsed: dict[str, Any] = json.loads(manifest)
        repository, _, tag = name.rpartition(":")
        for reference in (tag, digest):
            self._manifests[f"{repository}/{reference}"] = (described["mediaType"], manifest)
        for part in (parsed["config"], *parsed["layers"]):
            self._blobs[f"{repository}/{part['digest']}"] = (archive, _blob_path(part["digest"]))
        return digest

    def reference(self, name: str) -> str:
        """What a pod's `image` says to pull `name` from here."""
        return f"{self.address}/{name}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests.append(f"{request.method} {request.path}")
        if request.method not in ("GET", "HEAD"):
            return _error(405, "UNSUPPORTED", "this registry is read only")
        if not self._admitted(request):
            response = _error(401, "UNAUTHORIZED", "authentication required")
            response.headers["WWW-Authenticate"] = 'Basic realm="registry"'
            return response
        parts = request.path.removeprefix("/v2/").rsplit("/", 2)
        if request.path in ("/v2/", "/v2"):
            return web.json_response({})
        if len(parts) == 3 and parts[1] == "manifests":
            return self._manifest(f"{parts[0]}/{parts[2]}")
        if len(parts) == 3 and parts[1] == "blobs":
            return await self._blob(request, f"{parts[0]}/{parts[2]}", parts[2])
        return _error(404, "NAME_UNKNOWN", "no such repository")

    def _admitted(self, request: web.Request) -> bool:
        if self._credentials is None:
            return True
        wanted = base64.b64encode(":".join(self._credentials).encode()).decode()
        return request.headers.get("Authorization") == f"Basic {wanted}"

    def _manifest(self, name: str) -> web.Response:
        if name not in self._manifests:
            return _error(404, "MANIFEST_UNKNOWN", f"no manifest {name}")
        media_type, body = self._manifests[name]
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest, "Content-Length": str(len(body))}
        return web.Response(body=body, headers=headers)

    async def _blob(self, request: web.Request, name: str, digest: str) -> web.StreamResponse:
        if name not in self._blobs:
            return _error(404, "BLOB_UNKNOWN", f"no blob {name}")
        archive, path = self._blobs[name]
        with tarfile.open(archive) as tar:
            member = tar.getmember(path)
        span = request.http_range
        first = span.start or 0
        last = min(span.stop or member.size, member.size)
        if first >= member.size > 0:
            return _error(416, "RANGE_INVALID", f"the blob has {member.size} bytes")
        partial = first > 0 or last < member.size
        response = web.StreamResponse(status=206 if partial else 200)
        response.headers.update({"Docker-Content-Digest": digest, "Content-Type": "application/octet-stream"})
        if partial:
            response.headers["Content-Range"] = f"bytes {first}-{last - 1}/{member.size}"
        response.content_length = last - first
        await response.prepare(request)
        if request.method == "GET":
            with open(archive, "rb") as source:  # noqa: ASYNC230 - a test's registry has one reader
                source.seek(member.offset_data + first)
                left = last - first
                while left:
                    data = source.read(min(left, _CHUNK_BYTES))
                    left -= len(data)
                    await response.write(data)
        await response.write_eof()
        return response


@asynccontextmanager
async def serve_registry(credentials: tuple[str, str] | None = None) -> AsyncIterator[Registry]:
    """A registry on a free port of 127.0.0.1 (plain HTTP, which container runtimes accept on loopback)."""
    registry = Registry(credentials)
    runner = web.ServerRunner(web.Server(registry.handle))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    registry.address = f"{host}:{port}"
    try:
        yield registry
    finally:
        await runner.cleanup()


def _blob_path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    content = tar.extractfile(name)
    assert content is not None
    return content.read()


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=status)
