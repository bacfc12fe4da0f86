"""Routes, authentication and life of the kubelet's server. Paths and parameters are the kubelet's own.

Who may ask: holders of a certificate of `client_ca` whose common name is allowed; nobody else finishes the handshake or
gets further than 403. What a caller of the API may do was decided there, before the API server came here.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from kobune.base.clock import parse_time
from kobune.embedded.kubelet.certificates import ensure_serving_certificate
from kobune.embedded.kubelet.logs import LogOptions, read_log
from kobune.embedded.kubelet.model import ContainerInfo, ContainerState, all_container_statuses, all_containers
from kobune.embedded.kubelet.pods import NodePods
from kobune.embedded.kubelet.server.attach import attach
from kobune.embedded.kubelet.server.channels import CHANNEL_PROTOCOLS, StreamOptions
from kobune.embedded.kubelet.server.execute import execute
from kobune.embedded.kubelet.server.portforward import TUNNEL_PROTOCOL, tunnel
from kobune.embedded.kubelet.worker import PodWorker
from kobune.host.containerd import ContainerdClient
from kobune.host.cri.types import CriError, CriRuntime

__all__ = ["KubeletServer", "ServerConfig"]

_LOG = logging.getLogger(__name__)
CLOSE_TIMEOUT_S = 2.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """See `KubeletConfig`."""

    host: str
    port: int
    node_name: str
    addresses: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None
    pki_dir: Path
    client_ca: Path | None
    allowed_clients: tuple[str, ...]
    run_dir: Path


class KubeletServer:
    """Serves one node's containers."""

    def __init__(self, config: ServerConfig, pods: NodePods, cri: CriRuntime, containerd: ContainerdClient) -> None:
        self._config = config
        self._pods = pods
        self._cri = cri
        self._containerd = containerd
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen; returns the port. Raises OSError when it is taken."""
        app = web.Application(middlewares=[self._authenticate])
        app.router.add_get("/healthz", _healthz)
        app.router.add_get("/pods", self._list_pods)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        for method in ("GET", "POST"):
            app.router.add_route(method, "/exec/{namespace}/{pod}/{container}", self._exec)
            app.router.add_route(method, "/exec/{namespace}/{pod}/{uid}/{container}", self._exec)
            app.router.add_route(method, "/attach/{namespace}/{pod}/{container}", self._attach)
            app.router.add_route(method, "/attach/{namespace}/{pod}/{uid}/{container}", self._attach)
            app.router.add_route(method, "/portForward/{namespace}/{pod}", self._port_forward)
            app.router.add_route(method, "/portForward/{namespace}/{pod}/{uid}", self._port_forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        site = web.TCPSite(runner, self._config.host, self._config.port, ssl_context=self._tls(), reuse_address=True)
        await site.start()
        server = site._server
        assert isinstance(server, asyncio.Server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening and end what streams."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _tls(self) -> ssl.SSLContext:
        config = self._config
        cert, key = config.tls_cert, config.tls_key
        if cert is None or key is None:
            cert, key = ensure_serving_certificate(config.pki_dir, config.node_name, config.addresses)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(cert, key)
        # Without any authority every handshake fails, which is what a kubelet without one must do.
        context.verify_mode = ssl.CERT_REQUIRED
        if config.client_ca is not None:
            context.load_verify_locations(config.client_ca)
        return context

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        certificate: dict[str, Any] = request.get_extra_info("peercert") or {}
        subject = {name: value for part in certificate.get("subject", ()) for name, value in part}
        name = subject.get("commonName", "")
        if name not in self._config.allowed_clients:
            _LOG.warning("refused %s %s for %r", request.method, request.path, name)
            return web.Response(status=403, text=f"Forbidden (user={name})\n")
        return await handler(request)

    async def _list_pods(self, request: web.Request) -> web.Response:
        items = [worker.pod for worker in self._pods if worker.pod is not None]
        body = msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
        return web.Response(body=body, content_type="application/json")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        worker = self._worker(request)
        name = request.match_info["container"]
        query = request.query
        try:
            options = _log_options(query)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        container = _logged_container(worker, name, previous=query.get("previous") in ("true", "1"))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)

        def ended() -> bool:
            now = next((own for own in worker.containers if own.id == container.id), None)
            return now is None or now.state is not ContainerState.RUNNING

        try:
            async for piece in read_log(Path(container.log_path), options, ended):
                await response.write(piece)
        except FileNotFoundError:
            await response.write(b"failed to open the container's log: it is gone\n")
        except ConnectionError:
            return response
        await response.write_eof()
        return response

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        container = self._running(request)
        options = _stream_options(request)
        command = request.query.getall("command", [])
        if not command:
            return web.Response(status=400, text="you must specify at least 1 command")
        socket = await _open_websocket(request, CHANNEL_PROTOCOLS)
        await execute(socket, self._containerd, container.id, command, options, self._config.run_dir)
        return socket

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        container = self._running(request)
        options = _stream_options(request)
        try:
            url = await self._cri.attach_url(
                container.id,
                stdin=options.stdin,
                stdout=options.stdout,
                stderr=options.stderr and not options.tty,
                tty=options.tty,
            )
        except CriError as error:
            return web.Response(status=500, text=str(error))
        socket = await _open_websocket(request, CHANNEL_PROTOCOLS)
        await attach(socket, url, self._containerd, container.id)
        return socket

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        worker = self._worker(request)
        sandbox = next((sandbox for sandbox in worker.sandboxes if sandbox.ready), None)
        if sandbox is None:
            return web.Response(status=400, text="the pod does not run")
        ports = [int(port) for text in request.query.getall("port", []) for port in text.split(",") if port.isdigit()]
        try:
            url = await self._cri.port_forward_url(sandbox.id, ports)
        except CriError as error:
            return web.Response(status=500, text=str(error))
        socket = await _open_websocket(request, (TUNNEL_PROTOCOL,))
        await tunnel(socket, url)
        return socket

    def _worker(self, request: web.Request) -> PodWorker:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        worker = self._pods.find(namespace, name)
        if worker is None:
            raise web.HTTPNotFound(text=f'pods "{name}" not found')
        return worker

    def _running(self, request: web.Request) -> ContainerInfo:
        worker = self._worker(request)
        name = request.match_info["container"]
        for container in worker.containers:
            if container.name == name and container.state is ContainerState.RUNNING:
                return container
        raise web.HTTPNotFound(text=f'container not found ("{name}")')


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _open_websocket(request: web.Request, protocols: tuple[str, ...]) -> web.WebSocketResponse:
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise web.HTTPBadRequest(text="this needs a websocket; other upgrades are not served\n")
    if not any(name in protocols for name in offered):
        raise web.HTTPForbidden(text=f"unable to negotiate protocol: client supports {offered}, server {protocols}")
    socket = web.WebSocketResponse(protocols=protocols, max_msg_size=4 << 20, compress=False, timeout=CLOSE_TIMEOUT_S)
    await socket.prepare(request)
    return socket


def _stream_options(request: web.Request) -> StreamOptions:
    def flag(*names: str) -> bool:
        return any(request.query.get(name) in ("1", "true") for name in names)

    options = StreamOptions(
        stdin=flag("input", "stdin"), stdout=flag("output", "stdout"), stderr=flag("error", "stderr"), tty=flag("tty")
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr")
    return options


def _logged_container(worker: PodWorker, name: str, *, previous: bool) -> ContainerInfo:
    pod = worker.pod
    assert pod is not None
    known = {own.name for own in all_containers(pod)}
    if name not in known:
        raise web.HTTPBadRequest(text=f"container {name} is not valid for pod {pod.metadata.name}")
    attempts = [container for container in worker.containers if container.name == name]
    if previous:
        if len(attempts) < 2:
            text = f'previous terminated container "{name}" in pod "{pod.metadata.name}" not found'
            raise web.HTTPBadRequest(text=text)
        return attempts[1]
    begun = next((container for container in attempts if container.state is not ContainerState.CREATED), None)
    if begun is None:
        told = all_container_statuses(pod)
        waiting = next((s.state.waiting for s in told if s.name == name and s.state.waiting), None)
        reason = waiting.reason if waiting else "ContainerCreating"
        text = f'container "{name}" in pod "{pod.metadata.name}" is waiting to start: {reason}'
        raise web.HTTPBadRequest(text=text)
    return begun


def _log_options(query: Any) -> LogOptions:
    since = None
    if query.get("sinceSeconds"):
        since = datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))
    elif query.get("sinceTime"):
        since = parse_time(query["sinceTime"])
    tail = query.get("tailLines", query.get("tail"))
    limit = query.get("limitBytes")
    return LogOptions(
        follow=query.get("follow") in ("true", "1"),
        timestamps=query.get("timestamps") in ("true", "1"),
        tail_lines=None if tail in (None, "", "all") else int(tail),
        since=since,
        limit_bytes=None if not limit else int(limit),
        stream=query.get("stream", ""),
    )
