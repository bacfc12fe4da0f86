"""Probes of running containers: runs them by their schedule and keeps what they say.

Owns one task per probe of each running container. Must not decide what follows: that is the pod's decision.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Sequence

import aiohttp
import grpc
import grpc.aio

from kobune.api.core import Container, GRPCAction, HTTPGetAction, Probe, TCPSocketAction
from kobune.embedded.kubelet.model import ProbeView
from kobune.host.cri.types import CriError, CriRuntime, CriUnavailable
from kobune.kube.runtime.decision import Event, EventType

__all__ = ["ContainerProbes", "check", "http_get", "port_number"]

_LOG = logging.getLogger(__name__)
MESSAGE_LIMIT = 1024
SERVING = b"\x08\x01"
"""grpc.health.v1.HealthCheckResponse with status SERVING."""


class ContainerProbes:
    """The probes of one running container; `view` is their verdict, `changed` is called when it changes."""

    def __init__(
        self,
        cri: CriRuntime,
        container: Container,
        container_id: str,
        pod_ip: str,
        changed: Callable[[], None],
        report: Callable[[Event], None],
    ) -> None:
        self.container_id = container_id
        self._cri = cri
        self._container = container
        self._pod_ip = pod_ip
        self._changed = changed
        self._report = report
        self._started = container.startup_probe is None
        self._alive = True
        self._ready = container.readiness_probe is None
        self._message = ""
        self._grace_s: int | None = None
        self._task = asyncio.create_task(self._run(), name=f"probes of {container.name}")

    @property
    def view(self) -> ProbeView:
        """The verdict now."""
        return ProbeView(self._started, self._alive, self._ready, self._message, self._grace_s)

    async def close(self) -> None:
        """Stop probing."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        container = self._container
        if container.startup_probe is not None:
            await self._until_started(container.startup_probe)
        async with asyncio.TaskGroup() as group:
            if container.liveness_probe is not None:
                group.create_task(self._watch_alive(container.liveness_probe))
            if container.readiness_probe is not None:
                group.create_task(self._watch_ready(container.readiness_probe))

    async def _until_started(self, probe: Probe) -> None:
        failures = 0
        await asyncio.sleep(probe.initial_delay_seconds)
        while True:
            if await self._probe("Startup", probe):
                self._started = True
                self._changed()
                return
            failures += 1
            if failures >= (probe.failure_threshold or 3) and self._alive:
                self._fail(probe)
            await asyncio.sleep(probe.period_seconds or 10)

    async def _watch_alive(self, probe: Probe) -> None:
        failures = 0
        await asyncio.sleep(probe.initial_delay_seconds)
        while True:
            failures = 0 if await self._probe("Liveness", probe) else failures + 1
            if failures >= (probe.failure_threshold or 3) and self._alive:
                self._fail(probe)
            await asyncio.sleep(probe.period_seconds or 10)

    async def _watch_ready(self, probe: Probe) -> None:
        successes = failures = 0
        await asyncio.sleep(probe.initial_delay_seconds)
        while True:
            if await self._probe("Readiness", probe):
                successes, failures = successes + 1, 0
            else:
                successes, failures = 0, failures + 1
            ready = self._ready
            if successes >= (probe.success_threshold or 1):
                ready = True
            elif failures >= (probe.failure_threshold or 3):
                ready = False
            if ready != self._ready:
                self._ready = ready
                self._changed()
            await asyncio.sleep(probe.period_seconds or 10)

    def _fail(self, probe: Probe) -> None:
        self._alive = False
        self._grace_s = probe.termination_grace_period_seconds
        self._changed()

    async def _probe(self, kind: str, probe: Probe) -> bool:
        message = await check(self._cri, self._container, self.container_id, self._pod_ip, probe)
        if message is None:
            return True
        self._report(Event(EventType.WARNING, "Unhealthy", f"{kind} probe failed: {message[:MESSAGE_LIMIT]}"))
        return False


async def check(cri: CriRuntime, container: Container, container_id: str, pod_ip: str, probe: Probe) -> str | None:
    """Probe once: None for success, else why not."""
    timeout_s = probe.timeout_seconds or 1
    try:
        if probe.exec is not None:
            return await _exec(cri, container_id, probe.exec.command, timeout_s)
        async with asyncio.timeout(timeout_s):
            if probe.http_get is not None:
                return await http_get(container, probe.http_get, pod_ip)
            if probe.tcp_socket is not None:
                return await _tcp(container, probe.tcp_socket, pod_ip)
            if probe.grpc is not None:
                return await _grpc(probe.grpc, pod_ip, timeout_s)
    except TimeoutError:
        return f"no answer within {timeout_s} s"
    except (OSError, aiohttp.ClientError, ValueError) as error:
        return str(error) or type(error).__name__
    return None


async def _exec(cri: CriRuntime, container_id: str, command: Sequence[str], timeout_s: int) -> str | None:
    try:
        result = await cri.exec_sync(container_id, command, timeout_s)
    except CriUnavailable:
        return f'command "{" ".join(command)}" timed out'
    except CriError as error:
        return error.message
    if result.exit_code == 0:
        return None
    return (result.stdout + result.stderr).decode("utf-8", "replace").strip() or f"exit status {result.exit_code}"


async def http_get(container: Container, action: HTTPGetAction, pod_ip: str) -> str | None:
    """GET without following redirects: a status from 200 to 399 is success. Certificates are not verified."""
    scheme = (action.scheme or "HTTP").lower()
    host = action.host or pod_ip
    if ":" in host:
        host = f"[{host}]"
    url = f"{scheme}://{host}:{port_number(container, action.port)}/{action.path.removeprefix('/')}"
    headers = {header.name: header.value for header in action.http_headers}
    headers.setdefault("User-Agent", "kube-probe/1.33")
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, allow_redirects=False, ssl=_unverified()) as response,
    ):
        return None if 200 <= response.status < 400 else f"HTTP probe failed with statuscode: {response.status}"


async def _tcp(container: Container, action: TCPSocketAction, pod_ip: str) -> str | None:
    _, writer = await asyncio.open_connection(action.host or pod_ip, port_number(container, action.port))
    writer.close()
    return None


async def _grpc(action: GRPCAction, pod_ip: str, timeout_s: int) -> str | None:
    service = (action.service or "").encode()
    request = b"\x0a" + bytes([len(service)]) + service if service else b""
    async with grpc.aio.insecure_channel(f"{pod_ip}:{action.port}") as channel:
        call = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer: bytes = await call(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return f"rpc error: {error.code().name}: {error.details()}"
    return None if answer.startswith(SERVING) else "service unhealthy"


def port_number(container: Container, port: int | str) -> int:
    """A port by number or by the name that the container gives it; raises ValueError."""
    if isinstance(port, int):
        return port
    for declared in container.ports:
        if declared.name == port:
            return declared.container_port
    if port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port: {port}")


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
