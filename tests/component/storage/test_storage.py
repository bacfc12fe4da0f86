"""Local volumes against a real API server with binder and scheduler: two nodes' provisioners, with their own rights."""

import asyncio
import contextlib
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kobune.api.core import PersistentVolume, PersistentVolumeClaim
from kobune.embedded.apiserver.pki import issue_client_certificate
from kobune.embedded.builtin.run import run as run_builtin
from kobune.embedded.scheduler.run import run_with_client as run_scheduler
from kobune.embedded.storage.run import USER, StorageConfig, install, run_with_client
from kobune.host.loop import FakeLoopDevices
from kobune.kube.client.config import load_config
from kobune.kube.client.core import (
    EVENTS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SERVICE_ACCOUNTS,
    STORAGE_CLASSES,
)
from kobune.kube.client.errors import NotFound
from kobune.kube.client.http import HttpClient
from kobune.kube.client.types import Patch
from kobune.kube.testing import eventually_true
from support.apiserver import api_server

NS = "default"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
NODE_NAMES = ("a", "b")


@dataclass
class World:
    client: HttpClient
    provisioner: HttpClient
    directory: Path
    loops: dict[str, FakeLoopDevices]

    async def claim(self, name: str, size: str = "1Mi", **spec: Any) -> None:
        wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
        await self.client.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": name}, "spec": wanted}, NS)

    async def pod(self, name: str, *claims: str, **spec: Any) -> None:
        volumes = [{"name": own, "persistentVolumeClaim": {"claimName": own}} for own in claims]
        body = {
            "metadata": {"name": name},
            "spec": {
                "containers": [{"name": "c", "image": "img:1"}],
                "tolerations": [{"operator": "Exists"}],
                "volumes": volumes,
                **spec,
            },
        }
        await self.client.create(PODS, body, NS)

    async def remove_pod(self, name: str) -> None:
        await self.client.delete(PODS, name, NS, grace_period_s=0)

    async def get_claim(self, name: str) -> PersistentVolumeClaim:
        return await self.client.get(PERSISTENT_VOLUME_CLAIMS, name, NS)

    async def placed_on(self, name: str) -> str:
        async def bound() -> bool:
            return bool((await self.client.get(PODS, name, NS)).spec.node_name)

        await eventually_true(bound, f"pod {name} is placed")
        return (await self.client.get(PODS, name, NS)).spec.node_name

    async def volume_of(self, name: str) -> PersistentVolume:
        async def bound() -> bool:
            return (await self.get_claim(name)).status.phase == "Bound"

        await eventually_true(bound, f"claim {name} is bound")
        return await self.client.get(PERSISTENT_VOLUMES, (await self.get_claim(name)).spec.volume_name)

    async def until_no_volumes(self) -> None:
        async def gone() -> bool:
            left = [name for node in NODE_NAMES for name in files(self.directory / node)]
            return not left and not (await self.client.list(PERSISTENT_VOLUMES)).items

        await eventually_true(gone, "volumes are gone with their data")


def files(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.is_dir() else []


def kubeconfig_of(user: str, server: Any, data_dir: Path, path: Path) -> Path:
    certificate, key = issue_client_certificate(data_dir, user, [])
    document = yaml.safe_load(server.kubeconfig.read_text())
    for entry in document["users"]:
        entry["user"] = {
            "client-certificate-data": b64encode(certificate).decode(),
            "client-key-data": b64encode(key).decode(),
        }
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with api_server(tmp_path / "api") as server:
        client = HttpClient(load_config(server.kubeconfig))
        await install(client)
        kubeconfig = kubeconfig_of(USER, server, tmp_path / "api", tmp_path / "kubeconfig")
        provisioner = HttpClient(load_config(kubeconfig))
        made = World(client, provisioner, tmp_path / "nodes", {name: FakeLoopDevices() for name in NODE_NAMES})
        tasks = [
            asyncio.create_task(run_builtin(server.kubeconfig)),
            asyncio.create_task(run_scheduler(client)),
        ]
        resources = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        status = {"capacity": resources, "allocatable": resources, "conditions": [ready]}
        for name in NODE_NAMES:
            labels = {"kubernetes.io/hostname": name}
            await client.create(NODES, {"metadata": {"name": name, "labels": labels}})
            await client.patch(NODES, name, Patch.merge({"status": status}), subresource="status")
            config = StorageConfig(kubeconfig, name, made.directory / name)
            tasks.append(asyncio.create_task(run_with_client(config, provisioner, loops=made.loops[name])))

        async def account() -> bool:
            with contextlib.suppress(NotFound):
                await client.get(SERVICE_ACCOUNTS, "default", NS)
                return True
            return False

        await eventually_true(account, "the default service account")
        yield made
        broken = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await provisioner.close()
        await client.close()
        assert broken == []


async def test_a_volume_is_made_where_its_first_pod_goes_and_brings_later_ones_there(world: World) -> None:
    await world.claim("files")
    await world.claim("disk", volumeMode="Block")
    # Nobody uses them: a node is not chosen on a guess.
    await asyncio.sleep(0.3)
    assert (await world.get_claim("files")).status.phase == "Pending"
    assert (await world.get_claim("files")).spec.storage_class_name == "local"
    await world.pod("first", "files", "disk", nodeSelector={"kubernetes.io/hostname": "b"})
    assert await world.placed_on("first") == "b"
    directory, disk = await world.volume_of("files"), await world.volume_of("disk")
    assert (world.directory / "b" / directory.metadata.name).is_dir()
    assert (world.directory / "b" / disk.metadata.name).stat().st_size == 1 << 20
    assert files(world.directory / "a") == []
    await world.remove_pod("first")
    # The scheduler would rather spread, but the data is on b.
    await world.pod("other")
    await world.pod("second", "files")
    assert await world.placed_on("second") == "b"
    await world.remove_pod("second")
    for name in ("files", "disk"):
        await world.client.delete(PERSISTENT_VOLUME_CLAIMS, name, NS)
    await world.until_no_volumes()


async def test_both_kinds_grow_in_use(world: World) -> None:
    await world.claim("files")
    await world.claim("disk", volumeMode="Block")
    await world.pod("user", "files", "disk")
    node = await world.placed_on("user")
    disk = await world.volume_of("disk")
    path = world.directory / node / disk.metadata.name
    device = await world.loops[node].attach(path)
    larger = Patch.merge({"spec": {"resources": {"requests": {"storage": "3Mi"}}}})
    for name in ("files", "disk"):
        await world.client.patch(PERSISTENT_VOLUME_CLAIMS, name, larger, NS)

    async def grown() -> bool:
        return all([(await world.get_claim(n)).status.capacity["storage"] == "3Mi" for n in ("files", "disk")])

    await eventually_true(grown, "the claims have grown")
    assert (await world.volume_of("disk")).spec.capacity["storage"] == "3Mi"
    assert world.loops[node].sizes == {device: 3 << 20}


async def test_what_does_not_fit_is_told_and_not_made(world: World) -> None:
    await world.claim("huge", "1000Pi")
    await world.pod("user", "huge")

    async def told() -> bool:
        events = (await world.client.list(EVENTS, NS)).items
        return any(own.reason == "ProvisioningFailed" and "are needed" in own.message for own in events)

    await eventually_true(told, "an event says that there is no room")
    assert (await world.client.list(PERSISTENT_VOLUMES)).items == []

    async def pod_says() -> bool:
        pod = await world.client.get(PODS, "user", NS)
        return any("PersistentVolumeClaim huge on node" in own.message for own in pod.status.conditions)

    await eventually_true(pod_says, "the pod says what it waits for", timeout_s=10)
    assert (await world.client.get(PODS, "user", NS)).spec.node_name == ""


async def test_a_volume_that_is_deleted_first_takes_its_data_along_later(world: World) -> None:
    await world.claim("files")
    await world.pod("user", "files")
    node = await world.placed_on("user")
    name = (await world.volume_of("files")).metadata.name
    await world.client.delete(PERSISTENT_VOLUMES, name)
    await world.client.delete(PERSISTENT_VOLUME_CLAIMS, "files", NS)
    await asyncio.sleep(0.3)
    assert files(world.directory / node) == [name]
    await world.remove_pod("user")
    await world.until_no_volumes()


async def test_a_volume_to_be_kept_keeps_its_data(world: World) -> None:
    await world.claim("files")
    await world.pod("user", "files")
    node = await world.placed_on("user")
    name = (await world.volume_of("files")).metadata.name
    keep = Patch.merge({"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    await world.client.patch(PERSISTENT_VOLUMES, name, keep)
    await world.remove_pod("user")
    await world.client.delete(PERSISTENT_VOLUME_CLAIMS, "files", NS)

    async def released() -> bool:
        return (await world.client.get(PERSISTENT_VOLUMES, name)).status.phase == "Released"

    await eventually_true(released, "the volume is released")
    await world.client.delete(PERSISTENT_VOLUMES, name)

    async def gone() -> bool:
        return (await world.client.list(PERSISTENT_VOLUMES)).items == []

    await eventually_true(gone, "the volume's object is gone")
    assert files(world.directory / node) == [name]


async def test_a_start_removes_what_was_never_finished(world: World) -> None:
    await world.claim("files")
    await world.pod("user", "files")
    node = await world.placed_on("user")
    name = (await world.volume_of("files")).metadata.name
    directory = world.directory / node
    (directory / f"pvc-{UNKNOWN}").mkdir()
    config = StorageConfig(Path("unused"), node, directory)
    ready = asyncio.Event()
    again = asyncio.create_task(run_with_client(config, world.client, loops=world.loops[node], ready=ready))
    await asyncio.wait_for(ready.wait(), 10)
    assert files(directory) == [name]
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_installing_again_leaves_the_owners_choices(world: World) -> None:
    name = "storageclass.kubernetes.io/is-default-class"
    await world.client.patch(STORAGE_CLASSES, "local", Patch.merge({"metadata": {"annotations": {name: "false"}}}))
    await install(world.client)
    assert (await world.client.get(STORAGE_CLASSES, "local")).metadata.annotations[name] == "false"
