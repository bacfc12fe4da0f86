"""virt-handler as a whole, with nothing but its own ServiceAccount's kubeconfig, against the real API server.

The launcher is the one without libvirt; its instance has no interfaces, so that no network is touched.
"""

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest
import yaml

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.host.procroot import HeldProcess
from kobune.kube.client.config import load_config
from kobune.kube.client.core import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from kobune.kube.client.http import HttpClient
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from kobune.operator.install import install
from kobune.operator.names import HANDLER_CLIENT_SECRET, HANDLER_SERVER_NAME, NAMESPACE
from kobune.virt.handler.launchers import pod_volume
from kobune.virt.handler.run import HandlerConfig, run
from kobune.virt.launcherproto.fake import FakeLauncher
from kobune.virt.launcherproto.messages import Pause
from support.apiserver import Running, api_server

NODE = "n1"
RAW: Resource[dict[str, Any]] = Resource(
    "kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance", True, dict
)


class World:
    def __init__(self, root: Path, server: Running, client: HttpClient) -> None:
        self.root = root
        self.server = server
        self.client = client
        self.launcher = FakeLauncher()

    async def prepare(self) -> None:
        await install(self.client)
        # virt-api is not part of this test.
        for plural in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            await self.client.raw("DELETE", f"/apis/admissionregistration.k8s.io/v1/{plural}")
        await self.client.create(NODES, {"metadata": {"name": NODE}})
        # Kubernetes' controllers are not part of it either.
        await self.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, "default")
        vmi = await self.client.create(
            RAW,
            {
                "metadata": {"namespace": "default", "name": "vm", "labels": {"kubevirt.io/nodeName": NODE}},
                "spec": {"domain": {"devices": {}, "memory": {"guest": "64Mi"}}},
                "status": {"phase": "Scheduled", "nodeName": NODE},
            },
            "default",
        )
        uid = vmi["metadata"]["uid"]
        self.launcher = FakeLauncher(uid=uid, namespace="default", name="vm")
        pod = await self.client.create(
            PODS,
            {
                "metadata": {
                    "namespace": "default",
                    "name": "virt-launcher-vm",
                    "labels": {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": uid},
                },
                "spec": {"nodeName": NODE, "containers": [{"name": "compute", "image": "launcher"}]},
            },
            "default",
        )
        sockets = pod_volume(self.root, pod.metadata.uid, "sockets")
        sockets.parent.mkdir(parents=True)
        (self.root / "s").mkdir()
        sockets.symlink_to(self.root / "s")
        await self.launcher.start(self.root / "s" / "launcher.sock")

    async def kubeconfig(self) -> Path:
        """The kubeconfig of virt-handler's ServiceAccount."""
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/kobune-virt-handler/token"
        answer = json.loads(await self.client.raw("POST", path, body=b'{"spec":{}}'))
        document = yaml.safe_load(self.server.kubeconfig.read_text())
        document["users"][0]["user"] = {"token": answer["status"]["token"]}
        file = self.root / "kubeconfig"
        file.write_text(yaml.safe_dump(document))
        return file

    @contextlib.asynccontextmanager
    async def handler(self) -> AsyncIterator[None]:
        config = HandlerConfig(
            kubeconfig=await self.kubeconfig(),
            node_name=NODE,
            kubelet_root=self.root,
            listen_host="127.0.0.1",
            listen_port=0,
            state_dir=self.root / "state",
        )
        task = asyncio.create_task(run(config, hold=lambda pid, pod_uid: HeldProcess(pid)))
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def vmi(self) -> VirtualMachineInstance:
        return await self.client.get(VIRTUAL_MACHINE_INSTANCES, "vm", "default")

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        try:
            async with asyncio.timeout(10):
                while not await condition():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what}: {(await self.vmi()).status}") from None

    async def phase(self, phase: str) -> None:
        async def reached() -> bool:
            return (await self.vmi()).status.phase == phase

        await self.until(reached, f"phase {phase}")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with TemporaryDirectory(prefix="kb-") as folder:
        async with api_server(Path(folder) / "api") as server:
            client = HttpClient(load_config(server.kubeconfig))
            world = World(Path(folder), server, client)
            try:
                await world.prepare()
                yield world
            finally:
                await world.launcher.stop()
                await client.close()


async def test_its_own_rights_are_enough_from_start_to_end(world: World) -> None:
    async with world.handler():
        await world.phase("Running")
        vmi = await world.vmi()
        assert vmi.status.machine is not None
        await _address(world)
        node = await world.client.get(NODES, NODE)
        assert node.metadata.labels["kubevirt.io/schedulable"] == "true"
        assert node.metadata.labels["machine-type.node.kubevirt.io/q35"] == "true"
        assert "kubevirt.io/heartbeat" in node.metadata.annotations

        events = await world.client.list(Resource("", "v1", "events", "Event", True, dict), "default")
        assert {"Started"} <= {event["reason"] for event in events.items}
        world.launcher.guest_powers_off()
        await world.phase("Succeeded")


async def test_its_server_lets_in_who_holds_the_client_certificate(world: World) -> None:
    async with world.handler():
        await world.phase("Running")
        address = await _address(world)
        secret = await world.client.get(SECRETS, HANDLER_CLIENT_SECRET, NAMESPACE)
        parts = {name: base64.b64decode(value) for name, value in secret.data.items()}
        pem = world.root / "client.pem"
        pem.write_bytes(parts["tls.crt"] + parts["tls.key"])
        context = ssl.create_default_context(cadata=parts["ca.crt"].decode())
        context.load_cert_chain(pem)
        url = f"https://{address}/v1/namespaces/default/virtualmachineinstances/vm/pause"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as client,
            client.put(url, server_hostname=HANDLER_SERVER_NAME) as answer,
        ):
            assert answer.status == 200
        assert any(isinstance(command, Pause) for command in world.launcher.commands)

        async def paused() -> bool:
            return any(found.type == "Paused" for found in (await world.vmi()).status.conditions)

        await world.until(paused, "condition Paused")


async def test_after_an_outage_of_the_api_it_catches_up(world: World) -> None:
    async with world.handler():
        await world.phase("Running")
    world.launcher.qemu_dies("gone while nobody looked")
    async with world.handler():
        await world.phase("Failed")
        assert (await world.vmi()).status.reason == "gone while nobody looked"


async def test_another_writer_of_the_same_list_is_not_overwritten(world: World) -> None:
    async with world.handler():
        await world.phase("Running")
        for number in range(10):
            ready = {"type": "Ready", "status": "True", "reason": f"r{number}"}
            current = await world.client.get(RAW, "vm", "default")
            others = [found for found in current["status"].get("conditions", ()) if found["type"] != "Ready"]
            body = {
                "metadata": {"resourceVersion": current["metadata"]["resourceVersion"]},
                "status": {"conditions": [*others, ready]},
            }
            world.launcher.change(agent_connected=number % 2 == 0)
            with contextlib.suppress(Exception):
                await world.client.patch(RAW, "vm", Patch.merge(body), "default")
        world.launcher.change(agent_connected=True)

        async def both() -> bool:
            return {"Ready", "AgentConnected"} <= {found.type for found in (await world.vmi()).status.conditions}

        await world.until(both, "conditions of both writers")


async def _address(world: World) -> str:
    """Where virt-handler says that it listens, once it does."""
    found: dict[str, str] = {}

    async def announced() -> bool:
        found.update((await world.client.get(NODES, NODE)).metadata.annotations)
        return "kobune.io/virt-handler-address" in found

    await world.until(announced, "the address")
    return found["kobune.io/virt-handler-address"]
