"""Malformed requests: the server answers with a 4xx (or a 2xx when the request happens to be fine), never fails.

10,000 requests, half of them from each seed; `KOBUNE_FUZZ=50000` sends that many from each.
"""

import asyncio
import json
import logging
import os
import random
import ssl
from pathlib import Path
from typing import Any

import pytest

from kobune.embedded.apiserver.schema.builtin import resources
from support.apiserver import Running, api_server

COUNT = int(os.environ.get("KOBUNE_FUZZ", "5000"))
JUNK = [
    "",
    "%00",
    "..",
    "%2F",
    "a",
    "%ff",
    "{}",
    "*",
    "watch",
    "namespaces",
    "status",
    "scale",
    "x" * 300,
    "-1",
    "null",
]
QUERY_NAMES = """limit continue labelSelector fieldSelector resourceVersion resourceVersionMatch dryRun fieldManager
fieldValidation force pretty sendInitialEvents allowWatchBookmarks gracePeriodSeconds propagationPolicy orphanDependents
container command tailLines includeObject watch x""".split()  # noqa: SIM905 - a sentence of words
QUERY_VALUES = [
    "",
    "1",
    "0",
    "-1",
    "abc",
    "true",
    "All",
    "Strict",
    "9" * 21,
    "a=b",
    "a in (b",
    "!",
    "==",
    "%00",
    "AAAA",
]
QUERY_VALUES += ["metadata.name=a", "spec.x=y", "Exact", "NotOlderThan", "x" * 200, "%F0%9F%9A%A2", "[]", "a,b"]
KEYS = """metadata spec status name namespace labels annotations finalizers ownerReferences containers image
ports data kind apiVersion rules subjects roleRef template selector matchLabels matchExpressions replicas
versions group names scope webhooks managedFields resourceVersion uid generateName deletionTimestamp
clientConfig service target $patch $retainKeys key operator values volumes hard limits type user
resourceAttributes schema openAPIV3Schema properties items validations expression conversion subresources
requests resources env token clusterIP nodePort port protocol""".split()  # noqa: SIM905
PATCHES = ["application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"]
MEDIA = ["application/json", "application/json", "application/json", "application/yaml", "text/plain", ""]
MEDIA += ["application/vnd.kubernetes.protobuf", "application/json-patch+json"]
ACCEPT = ["*/*", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml", "x", "application/json;q=x", ";;;"]
SCALARS: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    1e300,
    2**70,
    "",
    "a",
    "é\u0000",
    "x" * 50,
    "10Gi",
    "2020-01-01T00:00:00Z",
]
# What a kube-apiserver answers with a 5xx though it is the client's fault.
AS_THE_REAL_SERVER = (
    b"failed to create typed patch object",
    b"resourceVersion should not be set on objects to be created",
    b"unknown patch type",
    b"Too large resource version",
    b"target.name: Required value",
    b"target.kind: Unsupported value",
)


class Fuzz:
    """Makes requests from a seed."""

    def __init__(self, seed: int, token: str) -> None:
        self.random = random.Random(seed)
        self.token = token
        # Proxies pass on what another server answers: its failures are not ours.
        self.infos = [info for info in resources() if info.plural != "namespaces"]

    def value(self, depth: int = 0) -> Any:
        rnd, kind = self.random, self.random.random()
        if depth > 4 or kind < 0.5:
            return rnd.choice(SCALARS)
        if kind < 0.7:
            return [self.value(depth + 1) for _ in range(rnd.randrange(4))]
        return {rnd.choice(KEYS): self.value(depth + 1) for _ in range(rnd.randrange(5))}

    def target(self) -> tuple[str, Any]:
        rnd = self.random
        info = rnd.choice(self.infos)
        path = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
        if info.namespaced:
            path += "/namespaces/" + rnd.choice(["default"] * 8 + JUNK)
        path += "/" + info.plural
        if rnd.random() < 0.5:
            path += "/" + rnd.choice(["a"] * 8 + JUNK)
            if rnd.random() < 0.3:
                path += "/" + rnd.choice([s.name for s in info.subresources if s.name != "proxy"] + JUNK)
        if rnd.random() < 0.1:
            path = "/" + "/".join(rnd.choice(JUNK) for _ in range(rnd.randrange(6)))
        names = [f"{rnd.choice(QUERY_NAMES)}={rnd.choice(QUERY_VALUES)}" for _ in range(rnd.choice([0, 0, 1, 1, 2]))]
        if any(name.startswith("watch") for name in names):
            names.append("timeoutSeconds=1")
        return path + ("?" + "&".join(names) if names else ""), info

    def request(self) -> tuple[str, str, bytes]:
        """(method, target, the whole request)."""
        rnd = self.random
        method = rnd.choice(["GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
        target, info = self.target()
        body: Any = {"apiVersion": info.group_version, "kind": info.kind, "metadata": {"name": "a"}}
        media = rnd.choice(MEDIA)
        for _ in range(2):
            body[rnd.choice(["spec", "data", "rules", "webhooks", "subjects", "status", "metadata"])] = self.value()
        if method == "PATCH":
            media = rnd.choice(PATCHES)
        if method == "DELETE":
            body = {rnd.choice(["propagationPolicy", "gracePeriodSeconds", "preconditions", "dryRun"]): self.value(3)}
        if rnd.random() < 0.2:
            body = self.value()
        raw = json.dumps(body).encode()
        if rnd.random() < 0.1:
            raw = raw[: rnd.randrange(len(raw) + 1)]
        if rnd.random() < 0.05:
            raw = rnd.randbytes(rnd.randrange(60))
        if rnd.random() < 0.03:
            raw = b'{"a":' * 1500 + b"1" + b"}" * 1500
        lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Content-Length: {len(raw)}"]
        lines += [f"Authorization: Bearer {self.token}", f"Content-Type: {media}"]
        if rnd.random() < 0.2:
            lines.append("Accept: " + rnd.choice(ACCEPT))
        return method, target, "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


class Connection:
    """Sends raw requests, one after the other."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cafile=str(server.ca_file))
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, method: str, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._server.port, ssl=self._tls)
        reader, writer = self._streams
        writer.write(request)
        async with asyncio.timeout(20):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await self._body(method, head, reader)
        if b"connection: close" in head:
            writer.close()
            self._streams = None
        return int(head.split(b" ")[1]), body

    async def _body(self, method: str, head: bytes, reader: asyncio.StreamReader) -> bytes:
        if b"transfer-encoding: chunked" in head:
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            return body
        if method == "HEAD" or head.split(b" ")[1] in (b"204", b"304"):
            return b""
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
        return await reader.readexactly(int(length.split(b":")[1]))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


@pytest.mark.parametrize("seed", [1, 2])
async def test_malformed_requests_never_make_the_server_fail(
    seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with api_server(tmp_path) as server:
        fuzz, connection = Fuzz(seed, server.token), Connection(server)
        statuses: dict[int, int] = {}
        for _ in range(COUNT):
            method, target, request = fuzz.request()
            status, body = await connection.send(method, request)
            statuses[status] = statuses.get(status, 0) + 1
            assert status < 500 or any(text in body for text in AS_THE_REAL_SERVER), (status, method, target, request)
        assert sum(statuses.values()) == COUNT
        failures = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert failures == []
        assert sum(count for status, count in statuses.items() if 400 <= status < 500) > COUNT / 2
        assert (await connection.send("GET", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 200
        connection.close()
