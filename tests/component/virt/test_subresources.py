"""subresources.kubevirt.io through the API server's aggregation, down to a virt-handler (a stand-in with real TLS)."""

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kobune.kube.client.config import Impersonation, load_config
from kobune.kube.client.core import NODES, SECRETS
from kobune.kube.client.errors import ApiError, Conflict, Forbidden, Unavailable
from kobune.kube.client.http import HttpClient
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.types import Patch
from support.controlplane import ControlPlane, control_plane
from support.vms import spec

GROUP = "/apis/subresources.kubevirt.io/v1/namespaces/default"


@contextlib.asynccontextmanager
async def stand_in(plane: ControlPlane, folder: Path, calls: list[str], closed: asyncio.Event) -> AsyncIterator[str]:
    """A virt-handler that echoes streams; yields its address."""
    secret = await plane.client.get(SECRETS, "kobune-virt-handler-server-certs", "kobune")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_bytes(base64.b64decode(secret.data[name]))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.load_verify_locations(cadata=base64.b64decode(secret.data["ca.crt"]).decode())
    context.verify_mode = ssl.CERT_REQUIRED

    async def command(request: web.Request) -> web.Response:
        assert request.transport is not None
        subject = dict(part[0] for part in request.transport.get_extra_info("peercert")["subject"])
        calls.append(f"{request.method} {request.match_info['verb']} by {subject['commonName']}")
        return web.json_response({"kind": "stand-in"})

    async def console(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("plain.kubevirt.io",))
        await socket.prepare(request)
        await socket.send_bytes(b"login: ")
        async for message in socket:
            await socket.send_bytes(message.data.upper())
        closed.set()
        return socket

    app = web.Application()
    root = "/v1/namespaces/default/virtualmachineinstances/vm"
    app.router.add_get(f"{root}/console", console)
    app.router.add_route("*", f"{root}/{{verb}}", command)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def running_instance(plane: ControlPlane, address: str) -> AsyncIterator[None]:
    """An instance that counts as running on a node whose virt-handler is at `address`."""
    node = {"metadata": {"name": "node-1", "annotations": {"kobune.io/virt-handler-address": address}}}
    await plane.client.create(NODES, node)
    vmi: dict[str, Any] = {"metadata": {"name": "vm"}, "spec": spec(schedulerName="nobody")}
    await plane.client.create(VIRTUAL_MACHINE_INSTANCES, vmi, "default")
    connected = [{"type": "AgentConnected", "status": "True"}]
    body = {"status": {"phase": "Running", "nodeName": "node-1", "conditions": connected}}
    # Nobody but components writes the status of an instance.
    component = Impersonation("system:serviceaccount:kubevirt:kubevirt-controller", groups=("system:masters",))
    teller = HttpClient(replace(load_config(plane.server.kubeconfig), impersonate=component))
    try:
        async with asyncio.timeout(20):
            while True:
                await teller.patch(VIRTUAL_MACHINE_INSTANCES, "vm", Patch.merge(body), "default")
                await asyncio.sleep(0.2)
                if (await teller.get(VIRTUAL_MACHINE_INSTANCES, "vm", "default")).status.phase == "Running":
                    break
    finally:
        await teller.close()
    yield


async def test_a_start_right_after_the_creation_is_carried_out(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:

        async def once(number: int) -> None:
            name = f"vm-{number}"
            template = {"metadata": {}, "spec": spec(schedulerName="nobody")}
            vm = {"metadata": {"name": name}, "spec": {"runStrategy": "Manual", "template": template}}
            await plane.client.create(VIRTUAL_MACHINES, vm, "default")
            await asyncio.sleep(number / 1000)
            await plane.client.raw("PUT", f"{GROUP}/virtualmachines/{name}/start", body=b"{}")
            async with asyncio.timeout(60):
                while True:
                    await asyncio.sleep(0.1)
                    if (await plane.client.get(VIRTUAL_MACHINES, name, "default")).status.created:
                        return

        await asyncio.gather(*(once(number) for number in range(30)))


async def test_console_and_commands_reach_the_instance_s_virt_handler(tmp_path: Path) -> None:
    calls: list[str] = []
    closed = asyncio.Event()
    async with (
        control_plane(tmp_path) as plane,
        stand_in(plane, tmp_path, calls, closed) as address,
        running_instance(plane, address),
    ):
        path = f"{GROUP}/virtualmachineinstances/vm"
        socket = await plane.client.connect_websocket(f"{path}/console", protocols=("plain.kubevirt.io",))
        assert socket.protocol == "plain.kubevirt.io"
        assert (await socket.receive(5)).data == b"login: "
        for size in (1, 70_000, 1_000_000):
            await socket.send_bytes(b"a" * size)
            received = b""
            while len(received) < size:
                received += (await socket.receive(5)).data
            assert received == b"A" * size
        await socket.close()

        await plane.client.raw("PUT", f"{path}/pause", body=b"{}")
        with pytest.raises(Conflict, match="not paused"):
            await plane.client.raw("PUT", f"{path}/unpause", body=b"{}")
        answer = json.loads(await plane.client.raw("GET", f"{path}/guestosinfo"))
        assert answer == {"kind": "stand-in"}
        await asyncio.wait_for(closed.wait(), 5)
        by = "by kubevirt.io:system:client:virt-handler"
        assert {f"PUT pause {by}", f"GET guestosinfo {by}"} <= set(calls)


async def test_rights_are_checked_and_nobody_passes_beside_the_api_server(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        machine = {
            "metadata": {"name": "vm"},
            "spec": {"runStrategy": "Halted", "template": {"spec": spec(schedulerName="nobody")}},
        }
        await plane.client.create(VIRTUAL_MACHINES, machine, "default")
        url = f"{plane.server.url}{GROUP}/virtualmachines/vm/start"
        headers = {"Authorization": f"Bearer {plane.server.token}", "Impersonate-User": "nobody"}
        async with aiohttp.ClientSession() as session:
            async with session.put(url, json={}, headers=headers, ssl=False) as refused:
                assert refused.status == 403
            direct = f"https://{plane.virt_api_address}{GROUP}/virtualmachines/vm/start"
            forged = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}
            async with session.put(direct, json={}, headers=forged, ssl=False) as unknown:
                assert unknown.status == 401
        assert (await plane.client.get(VIRTUAL_MACHINES, "vm", "default")).spec.run_strategy == "Halted"
        await plane.client.raw("PUT", f"{GROUP}/virtualmachines/vm/start", body=b"{}")
        assert (await plane.client.get(VIRTUAL_MACHINES, "vm", "default")).spec.run_strategy == "Always"


async def test_an_absent_virt_handler_is_a_clear_answer(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, running_instance(plane, "127.0.0.1:1"):
        path = f"{GROUP}/virtualmachineinstances/vm"
        with pytest.raises(Unavailable, match="virt-handler of node node-1 does not answer"):
            await plane.client.raw("PUT", f"{path}/pause", body=b"{}")
        with pytest.raises(ApiError, match="does not answer"):
            await plane.client.connect_websocket(f"{path}/console", protocols=("plain.kubevirt.io",))
        with pytest.raises((ApiError, Forbidden)):
            await plane.client.raw("PUT", f"{path}/fly", body=b"{}")
