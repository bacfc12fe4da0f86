"""A pod under a hostile node: containers that end, sandboxes that die, calls that fail, a kubelet that is killed.

Whatever happens: a container never runs twice, a pod never has two sandboxes, init containers come first. And once the
world is quiet the pod is what its spec says, or, deleted, nothing is left of it.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kobune.host.cri.types import ContainerState
from kobune.kube.client.core import PODS
from kobune.kube.testing import settle
from support.kubelet_world import World

SPEC: dict[str, Any] = {
    "restartPolicy": "Always",
    "initContainers": [
        {"name": "setup", "image": "img:1"},
        {"name": "proxy", "image": "img:1", "restartPolicy": "Always"},
    ],
    "containers": [{"name": "a", "image": "img:1"}, {"name": "b", "image": "img:1"}],
    "volumes": [{"name": "disk", "image": {"reference": "img:1"}}, {"name": "scratch", "emptyDir": {}}],
}
CALLS = (
    "run_sandbox",
    "stop_sandbox",
    "create_container",
    "start_container",
    "stop_container",
    "list_sandboxes",
    "list_containers",
    "container",
    "remove_container",
)
STEPS = st.one_of(
    st.tuples(st.just("finish"), st.sampled_from(["setup", "proxy", "a", "b"]), st.sampled_from([0, 1])),
    st.tuples(st.just("fail"), st.sampled_from(CALLS), st.just(0)),
    st.tuples(st.just("lose"), st.just("sandbox"), st.just(0)),
    st.tuples(st.just("crash"), st.just("kubelet"), st.sampled_from([0, 1, 3, 7])),
    st.tuples(st.just("wait"), st.just("seconds"), st.sampled_from([1, 15, 700])),
)


def check(world: World) -> None:
    """What holds at every moment."""
    running = world.cri.running()
    assert len(running) == len(set(running)), f"twice: {running}"
    ready = [own for own in world.cri._sandboxes.values() if own.ready]
    assert len(ready) <= 1, f"sandboxes: {ready}"
    if "a" in running or "b" in running:
        sandbox = ready[0].id
        passed = [own for own in world.cri._containers.values() if own.name == "setup" and own.sandbox_id == sandbox]
        assert any(own.state is ContainerState.EXITED and own.exit_code == 0 for own in passed), "init was skipped"


async def play(steps: list[tuple[str, str, int]], *, delete: bool, force: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        worker = await world.start(SPEC, finalizers=["test/hold"])
        await settle(3)
        for kind, name, number in steps:
            if kind == "finish" and name in world.cri.running():
                world.cri.finish(name, number)
            elif kind == "fail":
                world.cri.fail_next(name, "injected")
            elif kind == "lose":
                for sandbox in await world.cri.list_sandboxes() if "list_sandboxes" not in world.cri._failures else ():
                    world.cri.lose_sandbox(sandbox.id)
                worker.wake()
            elif kind == "crash":
                await settle(number)
                await world.crash()
                worker = world.begin(await world.pod())
            elif kind == "wait":
                await world.clock.advance(number)
            await settle(5)
            check(world)
        world.cri._failures.clear()
        if delete:
            await end(world, force=force)
        else:
            await converge(world)
        await world.close()


async def converge(world: World) -> None:
    """Everything that shall run runs, once time has passed and the init container has done its work."""
    for _ in range(60):
        await world.clock.advance(310)
        await asyncio.sleep(0.002)
        check(world)
        if "setup" in world.cri.running():
            world.cri.finish("setup", 0)
        if world.cri.running() == ["a", "b", "proxy"]:
            break
    assert world.cri.running() == ["a", "b", "proxy"]
    await settle(50)
    pod = await world.pod()
    assert pod.status.phase == "Running"
    assert all(own.ready for own in pod.status.container_statuses)


async def end(world: World, *, force: bool) -> None:
    """Deleted, at once or gracefully: nothing is left."""
    # The finalizer keeps the object, as the API does until the kubelet has finished.
    await world.api.delete(PODS, "web", "default")
    pod = await world.pod()
    metadata = msgspec.structs.replace(pod.metadata, deletion_grace_period_seconds=0 if force else 5)
    deleted = msgspec.structs.replace(pod, metadata=metadata)
    assert world.worker is not None
    if not force:
        world.worker.update(deleted)
        for _ in range(60):
            await world.clock.advance(10)
            await asyncio.sleep(0.002)
            if not world.cri.running():
                break
        assert world.cri.running() == []
    world.worker.removed(deleted)
    for _ in range(60):
        await world.clock.advance(130)
        await asyncio.sleep(0.002)
        if world.tasks[-1].done():
            break
    assert world.tasks[-1].done()
    assert await world.cri.list_sandboxes() == []
    assert await world.cri.list_containers() == []
    assert not world.paths.pod(pod.metadata.uid).exists()
    assert world.mounter.mounts == []
    assert world.snapshots.views == {}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=20), delete=st.booleans(), force=st.booleans())
def test_a_pod_survives_a_hostile_node(steps: list[tuple[str, str, int]], delete: bool, force: bool) -> None:
    asyncio.run(play(steps, delete=delete, force=force))
