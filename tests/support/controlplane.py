"""The whole control plane in the test's process: API server, its controllers, virt-api and virt-controller.

The components use their own service accounts' tokens, so that missing rights are found.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from kobune.embedded.apiserver.run import Running
from kobune.embedded.builtin.run import run as run_builtin
from kobune.kube.client.config import load_config
from kobune.kube.client.http import HttpClient
from kobune.operator.install import install
from kobune.virt.admission.run import VirtApiConfig
from kobune.virt.admission.run import run as run_virt_api
from kobune.virt.controllers.run import VirtControllerConfig
from kobune.virt.controllers.run import run as run_virt_controller
from support.apiserver import api_server

__all__ = ["ControlPlane", "control_plane"]

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane and an administrator's client."""

    server: Running
    client: HttpClient
    virt_api_address: str


@contextlib.asynccontextmanager
async def control_plane(folder: Path) -> AsyncIterator[ControlPlane]:
    """Start everything, wait until virt-api answers, and stop it at the end."""
    port = _free_port()
    endpoints = {"kobune/kobune-virt-api": f"127.0.0.1:{port}"}
    async with api_server(folder, service_endpoints=endpoints) as server:
        client = HttpClient(load_config(server.kubeconfig))
        tasks: list[asyncio.Task[None]] = []
        try:
            await install(client)
            api_config = VirtApiConfig("127.0.0.1", port, await _kubeconfig(server, client, folder, "virt-api"))
            controller_config = VirtControllerConfig(
                "registry.example/launcher:1",
                await _kubeconfig(server, client, folder, "virt-controller"),
                identity="test",
            )
            ready = asyncio.Event(), asyncio.Event()
            tasks = [
                asyncio.create_task(run_builtin(server.kubeconfig)),
                asyncio.create_task(run_virt_api(api_config, ready=ready[0])),
                asyncio.create_task(run_virt_controller(controller_config, ready=ready[1])),
            ]
            async with asyncio.timeout(START_TIMEOUT_S):
                await _all_or_failure(tasks, *ready)
            yield ControlPlane(server, client, f"127.0.0.1:{port}")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()


async def _all_or_failure(tasks: list[asyncio.Task[None]], *ready: asyncio.Event) -> None:
    """Wait for all events; the first task that ends before that raises its failure."""

    async def all_ready() -> None:
        for event in ready:
            await event.wait()

    waiting = asyncio.create_task(all_ready())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in tasks:
        if task.done():
            task.result()


async def _kubeconfig(server: Running, client: HttpClient, folder: Path, component: str) -> Path:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = f"/api/v1/namespaces/kobune/serviceaccounts/kobune-{component}/token"
    answer = json.loads(await client.raw("POST", path, body=json.dumps(request).encode()))
    document = yaml.safe_load(server.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": answer["status"]["token"]}
    target = folder / f"{component}.kubeconfig"
    target.write_text(yaml.safe_dump(document))
    return target


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
