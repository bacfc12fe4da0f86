"""What every container runtime keeps: the fake in unit tests, containerd on a real machine."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kobune.host.cri import (
    ContainerNotFound,
    ContainerState,
    CriError,
    CriRuntime,
    ImageNotFound,
    cri_pb2,
)

__all__ = ["IMAGE", "CriContract"]

IMAGE = "kobune.io/test:v1"
UID = "0f7d7a52-0000-4000-8000-000000000001"


class CriContract:
    """Subclasses give the fixtures `runtime` and `logs`."""

    def sandbox_config(self, logs: Path, attempt: int = 0) -> cri_pb2.PodSandboxConfig:
        return cri_pb2.PodSandboxConfig(
            metadata=cri_pb2.PodSandboxMetadata(name="web", uid=UID, namespace="default", attempt=attempt),
            hostname="web",
            log_directory=str(logs),
            labels={"io.kubernetes.pod.uid": UID},
            linux=cri_pb2.LinuxPodSandboxConfig(cgroup_parent="/kobune-contract"),
        )

    def container_config(self, *command: str, attempt: int = 0) -> cri_pb2.ContainerConfig:
        return cri_pb2.ContainerConfig(
            metadata=cri_pb2.ContainerMetadata(name="c", attempt=attempt),
            image=cri_pb2.ImageSpec(image=IMAGE),
            command=command,
            log_path="c.log",
            labels={"io.kubernetes.pod.uid": UID, "role": "test"},
            annotations={"note": "kept"},
        )

    async def test_a_sandbox_is_ready_with_an_address_and_found_by_label(self, runtime: CriRuntime, logs: Path) -> None:
        sandbox_id = await runtime.run_sandbox(self.sandbox_config(logs))
        found = await runtime.sandbox(sandbox_id)
        assert (found.uid, found.name, found.ready, len(found.ips)) == (UID, "web", True, 1)
        assert [own.id for own in await runtime.list_sandboxes({"io.kubernetes.pod.uid": UID})] == [sandbox_id]
        assert await runtime.list_sandboxes({"io.kubernetes.pod.uid": "other"}) == []
        await runtime.stop_sandbox(sandbox_id)
        assert not (await runtime.sandbox(sandbox_id)).ready
        await runtime.stop_sandbox(sandbox_id)
        await runtime.remove_sandbox(sandbox_id)
        await runtime.remove_sandbox(sandbox_id)
        with pytest.raises(ContainerNotFound):
            await runtime.sandbox(sandbox_id)

    async def test_one_attempt_has_one_sandbox(self, runtime: CriRuntime, logs: Path) -> None:
        first = await runtime.run_sandbox(self.sandbox_config(logs))
        with pytest.raises(CriError, match="reserved"):
            await runtime.run_sandbox(self.sandbox_config(logs))
        second = await runtime.run_sandbox(self.sandbox_config(logs, attempt=1))
        for sandbox_id in (first, second):
            await runtime.stop_sandbox(sandbox_id)
            await runtime.remove_sandbox(sandbox_id)

    async def test_a_container_is_created_started_and_stopped(self, runtime: CriRuntime, logs: Path) -> None:
        config = self.sandbox_config(logs)
        sandbox_id = await runtime.run_sandbox(config)
        created = await runtime.create_container(sandbox_id, self.container_config("/bin/sleep", "1000"), config)
        assert (await runtime.container(created)).state is ContainerState.CREATED
        with pytest.raises(ContainerNotFound):
            await runtime.container_pid(created)
        await runtime.start_container(created)
        running = await runtime.container(created)
        assert (running.state, running.name, running.annotations["note"]) == (ContainerState.RUNNING, "c", "kept")
        assert running.started_at_ns >= running.created_at_ns
        assert await runtime.container_pid(created) > 0
        (listed,) = await runtime.list_containers({"io.kubernetes.pod.uid": UID})
        assert (listed.id, listed.sandbox_id, listed.state) == (created, sandbox_id, ContainerState.RUNNING)
        await runtime.stop_container(created, 0)
        ended = await runtime.container(created)
        assert ended.state is ContainerState.EXITED
        assert ended.exit_code in (137, 143)
        assert ended.finished_at_ns >= ended.started_at_ns
        await runtime.stop_container(created, 0)
        await runtime.remove_container(created)
        await runtime.remove_container(created)
        await runtime.stop_sandbox(sandbox_id)
        await runtime.remove_sandbox(sandbox_id)

    async def test_the_end_of_a_sandbox_is_the_end_of_its_containers(self, runtime: CriRuntime, logs: Path) -> None:
        config = self.sandbox_config(logs)
        sandbox_id = await runtime.run_sandbox(config)
        container_id = await runtime.create_container(sandbox_id, self.container_config("/bin/sleep", "1000"), config)
        await runtime.start_container(container_id)
        await runtime.stop_sandbox(sandbox_id)
        await _until(lambda: _is(runtime, container_id, ContainerState.EXITED))
        await runtime.remove_sandbox(sandbox_id)
        with pytest.raises(ContainerNotFound):
            await runtime.container(container_id)

    async def test_images_are_found_by_name_and_id(self, runtime: CriRuntime) -> None:
        image = await runtime.image(IMAGE)
        assert IMAGE in image.tags
        assert image.chain_id.startswith("sha256:")
        assert (await runtime.image(image.id)).id == image.id
        with pytest.raises(ImageNotFound):
            await runtime.image("kobune.io/none:v1")
        assert image.id in {own.id for own in await runtime.list_images()}

    async def test_a_container_needs_its_image(self, runtime: CriRuntime, logs: Path) -> None:
        config = self.sandbox_config(logs)
        sandbox_id = await runtime.run_sandbox(config)
        missing = self.container_config("/bin/true")
        missing.image.image = "kobune.io/none:v1"
        with pytest.raises(CriError, match="not found"):
            await runtime.create_container(sandbox_id, missing, config)
        await runtime.stop_sandbox(sandbox_id)
        await runtime.remove_sandbox(sandbox_id)


async def _is(runtime: CriRuntime, container_id: str, state: ContainerState) -> bool:
    return (await runtime.container(container_id)).state is state


async def _until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await check():  # noqa: ASYNC110 - a runtime sets no event
            await asyncio.sleep(0.02)
