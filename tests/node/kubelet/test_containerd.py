"""containerd keeps the contract of a runtime, outlives its starter, and gives what CRI lacks."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kobune.host.containerd import ContainerdClient, ContainerdDaemon, TaskEvent
from kobune.host.cri import CriClient
from support.containerd import TestNode
from support.cri_contract import IMAGE, CriContract

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def runtime(node: TestNode) -> AsyncIterator[CriClient]:
    client = CriClient(node.containerd.socket)
    yield client
    for sandbox in await client.list_sandboxes():
        await client.stop_sandbox(sandbox.id)
        await client.remove_sandbox(sandbox.id)
    await client.close()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path


class TestContainerd(CriContract):
    """The same tests as for the fake."""


async def test_a_running_daemon_is_adopted(node: TestNode) -> None:
    pid = await node.daemon.ensure()
    assert await ContainerdDaemon(node.containerd).ensure() == pid


async def test_task_events_tell_of_starts_and_ends(node: TestNode, runtime: CriClient, logs: Path) -> None:
    contract = CriContract()
    client = ContainerdClient(node.containerd.socket)
    seen: list[TaskEvent] = []

    async def follow() -> None:
        async for event in client.task_events():
            seen.append(event)

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0.1)
    config = contract.sandbox_config(logs)
    sandbox_id = await runtime.run_sandbox(config)
    container_id = await runtime.create_container(sandbox_id, contract.container_config("/bin/true"), config)
    await runtime.start_container(container_id)
    async with asyncio.timeout(10):
        while TaskEvent("/tasks/exit", container_id) not in seen:  # noqa: ASYNC110 - another task fills it
            await asyncio.sleep(0.02)
    assert TaskEvent("/tasks/start", container_id) in seen
    follower.cancel()
    await client.close()


async def test_an_image_can_be_viewed_until_the_view_is_removed(node: TestNode, runtime: CriClient) -> None:
    client = ContainerdClient(node.containerd.socket)
    image = await runtime.image(IMAGE)
    first = await client.view_snapshot("test-view", image.chain_id)
    assert first == await client.view_snapshot("test-view", image.chain_id)
    assert "ro" in first[0].options
    await client.remove_snapshot("test-view")
    await client.remove_snapshot("test-view")
    await client.close()


async def test_containers_outlive_containerd(node: TestNode, runtime: CriClient, logs: Path) -> None:
    contract = CriContract()
    config = contract.sandbox_config(logs)
    sandbox_id = await runtime.run_sandbox(config)
    sleeper = contract.container_config("/bin/sleep", "1000")
    container_id = await runtime.create_container(sandbox_id, sleeper, config)
    await runtime.start_container(container_id)
    pid = await runtime.container_pid(container_id)
    await node.daemon.stop()
    os.kill(pid, 0)
    await node.daemon.ensure()
    assert await runtime.container_pid(container_id) == pid
