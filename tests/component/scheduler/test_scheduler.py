"""The scheduler against a real API server: bindings, what makes it look again, and no node given away twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kobune.api.core import Pod
from kobune.embedded.builtin.run import run as run_builtin
from kobune.embedded.scheduler.run import run_with_client
from kobune.kube.client.config import load_config
from kobune.kube.client.core import NODES, PODS, SERVICE_ACCOUNTS
from kobune.kube.client.errors import NotFound
from kobune.kube.client.http import HttpClient
from kobune.kube.client.types import Patch
from kobune.kube.testing import eventually_true
from support.apiserver import api_server


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[HttpClient]:
    async with api_server(tmp_path) as server:
        made = HttpClient(load_config(server.kubeconfig))
        tasks = [
            asyncio.create_task(run_builtin(server.kubeconfig)),
            asyncio.create_task(run_with_client(made)),
        ]

        async def account() -> bool:
            try:
                await made.get(SERVICE_ACCOUNTS, "default", "default")
            except NotFound:
                return False
            return True

        await eventually_true(account, "the default service account")
        yield made
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await made.close()


async def add_node(client: HttpClient, name: str, cpu: str = "4", **labels: str) -> None:
    await client.create(NODES, {"metadata": {"name": name, "labels": labels}})
    resources = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    status = {
        "capacity": resources,
        "allocatable": resources,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
    }
    await client.patch(NODES, name, Patch.merge({"status": status}), subresource="status")


async def add_pod(client: HttpClient, name: str, cpu: str = "1", **spec: Any) -> None:
    container = {"name": "c", "image": "img:1", "resources": {"requests": {"cpu": cpu}}}
    # Nodes here have no kubelet: what a missing heartbeat would add is tolerated.
    tolerations = [{"operator": "Exists"}]
    body = {"metadata": {"name": name}, "spec": {"containers": [container], "tolerations": tolerations, **spec}}
    await client.create(PODS, body, "default")


async def pods(client: HttpClient) -> list[Pod]:
    return (await client.list(PODS, "default")).items


async def test_a_pod_is_bound_once_a_node_fits(client: HttpClient) -> None:
    await add_pod(client, "web", nodeSelector={"zone": "b"})

    async def waits() -> bool:
        conditions = (await client.get(PODS, "web", "default")).status.conditions
        return any(own.type == "PodScheduled" and own.reason == "Unschedulable" for own in conditions)

    await eventually_true(waits, "it waits")
    await add_node(client, "node-a", zone="a")
    await add_node(client, "node-b", zone="b")

    async def bound() -> bool:
        return (await client.get(PODS, "web", "default")).spec.node_name == "node-b"

    await eventually_true(bound, "it is bound")


async def test_many_pods_at_once_never_overload_a_node(client: HttpClient) -> None:
    for name in ("a", "b"):
        await add_node(client, name)
    await asyncio.gather(*[add_pod(client, f"pod-{number}") for number in range(20)])

    async def settled() -> bool:
        found = await pods(client)
        placed = sum(bool(own.spec.node_name) for own in found)
        told = sum(any(condition.reason == "Unschedulable" for condition in own.status.conditions) for own in found)
        return placed + told == 20

    await eventually_true(settled, "every pod is placed or told why not")
    by_node = [own.spec.node_name for own in await pods(client)]
    assert sorted(by_node.count(name) for name in ("a", "b")) == [4, 4]


async def test_a_pod_that_ends_makes_room(client: HttpClient) -> None:
    await add_node(client, "a", cpu="1")
    await add_pod(client, "first")

    async def first_bound() -> bool:
        return bool((await client.get(PODS, "first", "default")).spec.node_name)

    await eventually_true(first_bound, "the first is bound")
    await add_pod(client, "second")
    await client.patch(PODS, "first", Patch.merge({"status": {"phase": "Succeeded"}}), "default", subresource="status")

    async def second_bound() -> bool:
        return bool((await client.get(PODS, "second", "default")).spec.node_name)

    await eventually_true(second_bound, "the second takes its place")


async def test_pods_of_another_scheduler_are_left_alone(client: HttpClient) -> None:
    await add_node(client, "a")
    await add_pod(client, "other", schedulerName="somebody-else")
    await add_pod(client, "ours")

    async def ours_bound() -> bool:
        return bool((await client.get(PODS, "ours", "default")).spec.node_name)

    await eventually_true(ours_bound, "ours is bound")
    assert (await client.get(PODS, "other", "default")).spec.node_name == ""
