"""A virt-handler that was taken over reaches its own node and the instances on it, and nothing of another node."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kobune.kube.client.config import load_config
from kobune.kube.client.core import NODES, PODS
from kobune.kube.client.errors import ApiError
from kobune.kube.client.http import HttpClient
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from kobune.operator.apply import apply
from kobune.operator.install import install
from kobune.operator.names import NAMESPACE
from kobune.operator.policies import handler_policies
from support.apiserver import Running, api_server

ACCOUNT = "kobune-virt-handler"
RAW: Resource[dict[str, Any]] = Resource(
    "kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance", True, dict
)
LABELLED = Patch.merge({"metadata": {"labels": {"kobune.io/test": "x"}}})


class World:
    """Nodes a and b with an instance each, and the administrator's client."""

    def __init__(self, server: Running, client: HttpClient, folder: Path) -> None:
        self.server, self.client, self.folder = server, client, folder

    async def prepare(self) -> None:
        await install(self.client)
        await apply(self.client, handler_policies(NAMESPACE))
        for plural in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            await self.client.raw("DELETE", f"/apis/admissionregistration.k8s.io/v1/{plural}")
        for node in ("a", "b"):
            await self.client.create(NODES, {"metadata": {"name": node}})
            await self.client.create(RAW, instance(f"on-{node}", {"nodeName": node}), "default")

    async def handler(self, node: str) -> HttpClient:
        """A client with the token of the handler's pod on that node, as a kubelet gets it."""
        pod = {
            "metadata": {"name": f"virt-handler-{node}"},
            "spec": {"nodeName": node, "serviceAccountName": ACCOUNT, "containers": [{"name": "c", "image": "x"}]},
        }
        made = await self.client.create(PODS, pod, NAMESPACE)
        bound = {"kind": "Pod", "apiVersion": "v1", "name": made.metadata.name, "uid": made.metadata.uid}
        body = json.dumps({"spec": {"boundObjectRef": bound}}).encode()
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
        document = yaml.safe_load(self.server.kubeconfig.read_text())
        token = json.loads(await self.client.raw("POST", path, body=body))["status"]["token"]
        document["users"][0]["user"] = {"token": token}
        file = self.folder / f"kubeconfig-{node}"
        file.write_text(yaml.safe_dump(document))
        return HttpClient(load_config(file))


def instance(name: str, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"domain": {"devices": {}, "memory": {"guest": "64Mi"}}},
        "status": status,
    }


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with api_server(tmp_path / "api") as server:
        client = HttpClient(load_config(server.kubeconfig))
        world = World(server, client, tmp_path)
        await world.prepare()
        yield world
        await client.close()


async def test_it_changes_its_own_node_and_instances_alone(world: World) -> None:
    handler = await world.handler("a")
    try:
        await handler.patch(NODES, "a", LABELLED)
        await handler.patch(RAW, "on-a", LABELLED, "default")
        with pytest.raises(ApiError, match="changes the node that it runs on, and no other") as refused:
            await handler.patch(NODES, "b", LABELLED)
        assert refused.value.code == 403
        with pytest.raises(ApiError, match="changes the instances on the node that it runs on") as refused:
            await handler.patch(RAW, "on-b", LABELLED, "default")
        assert refused.value.code == 403
    finally:
        await handler.close()
    assert "kobune.io/test" not in (await world.client.get(RAW, "on-b", "default"))["metadata"].get("labels", {})


async def test_an_instance_on_no_node_yet_belongs_to_no_handler(world: World) -> None:
    await world.client.create(RAW, instance("new", {"phase": "Pending"}), "default")
    await world.client.create(RAW, {**instance("bare", {}), "status": None}, "default")
    handler = await world.handler("a")
    try:
        for name in ("new", "bare"):
            with pytest.raises(ApiError, match="changes the instances on the node that it runs on"):
                await handler.patch(RAW, name, LABELLED, "default")
    finally:
        await handler.close()


async def test_the_target_of_a_migration_changes_the_instance_that_comes(world: World) -> None:
    coming = instance("coming", {"nodeName": "a", "migrationState": {"targetNode": "b"}})
    await world.client.create(RAW, coming, "default")
    handler = await world.handler("b")
    try:
        await handler.patch(RAW, "coming", LABELLED, "default")
    finally:
        await handler.close()


async def test_others_are_not_asked(world: World) -> None:
    await world.client.patch(NODES, "b", LABELLED)
    await world.client.patch(RAW, "on-b", LABELLED, "default")
