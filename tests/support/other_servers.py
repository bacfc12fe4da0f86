"""Servers that the API server calls (kubelets, webhooks, aggregated APIs), and a client of the API server.

async with tls_server(api.pki, api.pki.ca_file, handler, []) as port: ...
"""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from kobune.embedded.apiserver.pki import Pki
from support.apiserver import Running

__all__ = ["Api", "Handler", "pod_on_node", "tls_server"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def tls_server(pki: Pki, client_ca: Path | None, handler: Handler, names: list[str]) -> AsyncIterator[int]:
    """A server that demands a client certificate of `client_ca`, where that is given; gives its port."""
    certificate, key = pki.server("other", ["127.0.0.1", *names])
    files = pki.directory / "other.crt", pki.directory / "other.key"
    for path, content in zip(files, (certificate, key), strict=True):
        path.write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class Api:
    """A client of the server under test."""

    def __init__(self, server: Running, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self.pki = Pki(server.kubeconfig.parent / "pki")
        self.tls = ssl.create_default_context(cafile=str(server.ca_file))
        self.headers = {"Authorization": f"Bearer {server.token}"}

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """(status, answer)."""
        async with self.session.request(
            method, self.server.url + path, json=body, headers={**self.headers, **headers}, ssl=self.tls
        ) as response:
            data = await response.read()
            return response.status, json.loads(data) if response.content_type == "application/json" else data

    async def create(self, path: str, body: Any) -> Any:
        """POST; the object."""
        status, answer = await self.call("POST", path, body)
        assert status == 201, answer
        return answer


async def pod_on_node(api: Api, port: int) -> None:
    """A pod p with the container main on a node n1 whose kubelet listens at a port of this machine."""
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }
    await api.create("/api/v1/nodes", node)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await api.create("/api/v1/namespaces/default/serviceaccounts", account)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "x"}]},
    }
    await api.create("/api/v1/namespaces/default/pods", pod)
