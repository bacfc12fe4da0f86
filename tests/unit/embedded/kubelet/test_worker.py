"""The life of pods with a runtime and an API in memory: worker, steps, volumes and status together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from kobune.api.core import Pod
from kobune.embedded.kubelet.volumes.usage import used_bytes
from kobune.host.cri.types import ExecResult
from kobune.kube.client.core import CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS
from kobune.kube.client.errors import NotFound
from kobune.kube.client.types import Patch
from kobune.kube.testing import eventually, eventually_true
from support.kubelet_world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


ONE = {"restartPolicy": "Always", "containers": [{"name": "c", "image": "img:1"}]}


async def test_a_pod_runs_and_says_so(world: World) -> None:
    await world.start(ONE)
    pod = await world.until_phase("Running")
    assert pod.status.pod_ip == "10.42.0.2"
    assert pod.status.container_statuses[0].ready
    assert world.cri.running() == ["c"]
    assert await world.reasons() == ["Started"], "the image was there: nothing else is news"


async def test_a_converged_pod_is_not_written_again(world: World) -> None:
    worker = await world.start(ONE)
    version = (await world.until_phase("Running")).metadata.resource_version
    for _ in range(5):
        worker.wake()
        await asyncio.sleep(0.01)
    assert (await world.pod()).metadata.resource_version == version


async def test_a_pod_that_starts_soon_is_written_once(world: World) -> None:
    before = world.api.writes
    await world.start(ONE)
    await world.until_phase("Running")
    await world.events.flush()
    assert world.api.writes - before == 3, "the pod itself, its status, and one event"


async def test_a_start_that_takes_its_time_is_told_before_it_ends(world: World) -> None:
    await world.start(ONE | {"initContainers": [{"name": "setup", "image": "img:1"}]})
    await eventually(lambda: world.cri.running() == ["setup"], "setup runs")
    assert (await world.pod()).status.pod_ip == ""
    await world.clock.advance(1.0)

    async def told() -> bool:
        return bool((await world.pod()).status.pod_ip)

    await eventually_true(told, "what is known of it is told")
    assert (await world.pod()).status.phase == "Pending"


async def test_init_containers_come_first(world: World) -> None:
    await world.start(ONE | {"initContainers": [{"name": "setup", "image": "img:1"}]})
    await eventually(lambda: world.cri.running() == ["setup"], "setup runs alone")
    world.cri.finish("setup")
    await eventually(lambda: world.cri.running() == ["c"], "then the container")


async def test_a_crash_is_restarted_at_once_and_then_after_a_wait(world: World) -> None:
    await world.start(ONE)
    await world.until_phase("Running")
    world.cri.finish("c", 1)
    await eventually(lambda: world.cri.running() == ["c"], "the first restart")
    world.cri.finish("c", 1)

    async def waits() -> bool:
        waiting = (await world.pod()).status.container_statuses[0].state.waiting
        return waiting is not None and waiting.reason == "CrashLoopBackOff"

    await eventually_true(waits, "CrashLoopBackOff")
    assert world.cri.running() == []
    await world.clock.advance(10.5)
    await eventually(lambda: world.cri.running() == ["c"], "the second restart")
    assert (await world.pod()).status.container_statuses[0].restart_count == 2


async def test_a_finished_pod_keeps_its_result_and_gives_back_its_things(world: World) -> None:
    await world.start(ONE | {"restartPolicy": "Never"})
    await world.until_phase("Running")
    world.cri.finish("c", 0)
    pod = await world.until_phase("Succeeded")
    assert pod.status.container_statuses[0].state.terminated is not None
    await eventually(lambda: not world.paths.pod(pod.metadata.uid).exists(), "its directory is removed")


async def test_deletion_ends_the_pod_and_then_the_object(world: World) -> None:
    worker = await world.start(ONE, finalizers=["test/hold"])
    pod = await world.until_phase("Running")
    worker.update(_deleted(pod, 5))
    await eventually(lambda: world.cri.running() == [], "it is stopped")
    assert "stop_container 5" in world.cri.calls
    uid = pod.metadata.uid
    await eventually(lambda: not world.paths.pod(uid).exists(), "its volumes are gone")
    worker.removed(pod)
    await asyncio.wait_for(world.tasks[-1], 5)
    assert await world.cri.list_sandboxes() == []
    assert list(world.paths.pod_logs.iterdir()) == []


async def test_a_shorter_grace_overtakes_a_longer_one(world: World) -> None:
    world.cri.deaf.add("c")
    worker = await world.start(ONE, finalizers=["test/hold"])
    pod = await world.until_phase("Running")
    worker.update(_deleted(pod, 300))
    await eventually(lambda: "stop_container 300" in world.cri.calls, "the long one")
    worker.removed(_deleted(pod, 1))
    await eventually(lambda: "stop_container 1" in world.cri.calls, "the short one")
    await world.clock.advance(1)
    await asyncio.wait_for(world.tasks[-1], 5)


def _deleted(pod: Pod, grace_s: int) -> Pod:
    metadata = msgspec.structs.replace(
        pod.metadata, deletion_timestamp="2026-01-01T00:00:00Z", deletion_grace_period_seconds=grace_s
    )
    return msgspec.structs.replace(pod, metadata=metadata)


async def test_a_new_worker_adopts_what_runs(world: World) -> None:
    await world.start(ONE)
    pod = await world.until_phase("Running")
    await world.crash()
    before = [call for call in world.cri.calls if call.startswith(("run_", "create_", "start_"))]
    world.begin(pod)
    await asyncio.sleep(0.1)
    after = [call for call in world.cri.calls if call.startswith(("run_", "create_", "start_", "stop_"))]
    assert after == before
    assert (await world.pod()).metadata.resource_version == pod.metadata.resource_version


async def test_a_lost_sandbox_is_replaced(world: World) -> None:
    worker = await world.start(ONE)
    await world.until_phase("Running")
    world.cri.lose_sandbox(worker.sandboxes[0].id)
    await eventually(lambda: world.cri.running() == ["c"], "it runs again")
    await eventually(lambda: worker.ips == ("10.42.0.3",), "with a new address")


async def test_a_missing_config_map_holds_the_pod_until_it_comes(world: World) -> None:
    volume = {"name": "v", "configMap": {"name": "cm"}}
    await world.start(ONE | {"volumes": [volume]})

    async def told() -> bool:
        return "FailedMount" in await world.reasons()

    await eventually_true(told, "FailedMount")
    assert world.cri.running() == []
    await world.api.create(CONFIG_MAPS, {"metadata": {"name": "cm"}, "data": {"key": "value"}}, "default")
    await world.clock.advance(2)
    pod = await world.until_phase("Running")
    file = world.paths.volume(pod.metadata.uid, "configmap", "v") / "key"
    assert file.read_text() == "value"


async def test_an_image_that_cannot_be_pulled_is_tried_again(world: World) -> None:
    await world.start(ONE | {"containers": [{"name": "c", "image": "example.com/other:1"}]})

    async def failed() -> bool:
        statuses = (await world.pod()).status.container_statuses
        return (
            bool(statuses)
            and statuses[0].state.waiting is not None
            and (statuses[0].state.waiting.reason == "ErrImagePull")
        )

    await eventually_true(failed, "ErrImagePull")
    world.cri.registry.add("example.com/other:1")
    await world.clock.advance(11)
    await world.until_phase("Running")


async def test_an_image_that_is_a_volume_is_missed_like_a_container_s_own(world: World) -> None:
    """A container disk that cannot be pulled must not look like a pod that takes its time."""
    image = {"name": "disk", "image": {"reference": "example.com/disk:1", "pullPolicy": "IfNotPresent"}}
    mounts = [{"name": "disk", "mountPath": "/disk"}]
    containers = [{"name": "c", "image": "img:1", "volumeMounts": mounts}]
    await world.start(ONE | {"containers": containers, "volumes": [image]})

    async def waits(reason: str) -> bool:
        statuses = (await world.pod()).status.container_statuses
        waiting = statuses[0].state.waiting if statuses else None
        return waiting is not None and waiting.reason == reason and "example.com/disk:1" in waiting.message

    await eventually_true(lambda: waits("ErrImagePull"), "ErrImagePull")
    await world.clock.advance(11)
    await eventually_true(lambda: waits("ImagePullBackOff"), "ImagePullBackOff")
    world.cri.registry.add("example.com/disk:1")
    await world.clock.advance(21)
    await world.until_phase("Running")


async def test_a_sandbox_that_fails_is_tried_again(world: World) -> None:
    world.cri.fail_next("run_sandbox", "no address left")
    await world.start(ONE)

    async def told() -> bool:
        return "FailedCreatePodSandBox" in await world.reasons()

    await eventually_true(told, "FailedCreatePodSandBox")
    await world.clock.advance(2)
    await world.until_phase("Running")


async def test_image_volumes_are_mounted_and_given_back(world: World) -> None:
    worker = await world.start(ONE | {"volumes": [{"name": "disk", "image": {"reference": "img:1"}}]})
    pod = await world.until_phase("Running")
    directory = world.paths.volume(pod.metadata.uid, "image", "disk")
    assert [mount[2] for mount in world.mounter.mounts] == [directory]
    assert list(world.snapshots.views) == [f"kobune-volume-{pod.metadata.uid}-disk"]
    worker.removed(pod)
    await asyncio.wait_for(world.tasks[-1], 5)
    assert world.mounter.mounts == []
    assert world.snapshots.views == {}


async def test_probes_decide_about_readiness_and_restarts(world: World) -> None:
    answers = {"ready": 1}
    world.cri.on_exec = lambda container, command: ExecResult(answers[command[0]], b"", b"not yet")
    probe = {"exec": {"command": ["ready"]}, "periodSeconds": 1}
    await world.start(ONE | {"containers": [{"name": "c", "image": "img:1", "readinessProbe": probe}]})
    pod = await world.until_phase("Running")
    assert not pod.status.container_statuses[0].ready
    answers["ready"] = 0

    async def ready() -> bool:
        return (await world.pod()).status.container_statuses[0].ready

    await eventually_true(ready, "ready after the probe passed")


async def test_an_orphan_is_ended(world: World) -> None:
    await world.start(ONE)
    pod = await world.until_phase("Running")
    await world.crash()
    with contextlib.suppress(NotFound):
        await world.api.delete(PODS, "web", "default", grace_period_s=0)
    world.begin(None, pod.metadata.uid)
    await asyncio.wait_for(world.tasks[-1], 5)
    assert world.cri.running() == []
    assert await world.cri.list_sandboxes() == []


async def test_the_termination_message_is_told(world: World) -> None:
    worker = await world.start(ONE | {"restartPolicy": "Never"})
    await world.until_phase("Running")
    config = world.cri.container_configs[worker.containers[0].id]
    file = next(mount.host_path for mount in config.mounts if mount.container_path == "/dev/termination-log")
    Path(file).write_text("out of luck")  # noqa: ASYNC240 - what the container does
    world.cri.finish("c", 3)
    pod = await world.until_phase("Failed")
    ended = pod.status.container_statuses[0].state.terminated
    assert ended is not None
    assert (ended.exit_code, ended.message) == (3, "out of luck")


async def test_a_claims_volume_is_used_once_it_is_bound(world: World, tmp_path: Path) -> None:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "disk"}}
    mount = {"name": "data", "mountPath": "/data"}
    spec = ONE | {"volumes": [volume], "containers": [{"name": "c", "image": "img:1", "volumeMounts": [mount]}]}
    claim = await world.api.create(
        PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": "disk"}, "spec": {"volumeName": "pv"}}, "default"
    )
    worker = await world.start(spec)

    async def told() -> bool:
        return "FailedMount" in await world.reasons()

    await eventually_true(told, "FailedMount")
    reference = {"uid": claim.metadata.uid, "name": "disk", "namespace": "default"}
    body = {"metadata": {"name": "pv"}, "spec": {"claimRef": reference, "local": {"path": str(tmp_path)}}}
    await world.api.create(PERSISTENT_VOLUMES, body)
    bound = Patch.merge({"status": {"phase": "Bound"}})
    await world.api.patch(PERSISTENT_VOLUME_CLAIMS, "disk", bound, "default", subresource="status")
    await world.clock.advance(5)
    await world.until_phase("Running")
    config = world.cri.container_configs[worker.containers[0].id]
    assert config.mounts[0].host_path == str(tmp_path)


async def test_a_volume_of_another_claim_is_never_shown(world: World, tmp_path: Path) -> None:
    await world.api.create(
        PERSISTENT_VOLUME_CLAIMS,
        {"metadata": {"name": "disk"}, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}},
        "default",
    )
    bound = Patch.merge({"status": {"phase": "Bound"}})
    await world.api.patch(PERSISTENT_VOLUME_CLAIMS, "disk", bound, "default", subresource="status")
    reference = {"uid": "somebody-else", "name": "disk", "namespace": "default"}
    body = {"metadata": {"name": "pv"}, "spec": {"claimRef": reference, "local": {"path": str(tmp_path)}}}
    await world.api.create(PERSISTENT_VOLUMES, body)
    await world.start(ONE | {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "disk"}}]})

    async def told() -> bool:
        return "FailedMount" in await world.reasons()

    await eventually_true(told, "FailedMount")
    assert world.cri.running() == []


async def test_a_deletion_does_not_wait_for_an_image_volume(world: World) -> None:
    never = asyncio.Event()

    async def pull(*_: object) -> str:
        await never.wait()
        return ""

    world.cri.pull_image = pull  # type: ignore[assignment, method-assign]
    volume = {"name": "disk", "image": {"reference": "example.com/slow:1"}}
    worker = await world.start(ONE | {"volumes": [volume]})
    pod = await world.pod()
    await eventually(lambda: world.paths.pod(pod.metadata.uid).exists(), "preparing has begun")
    worker.removed(pod)
    await asyncio.wait_for(world.tasks[-1], 5)
    assert not world.paths.pod(pod.metadata.uid).exists()
    assert world.mounter.mounts == []


async def test_an_end_that_is_told_during_the_start_is_not_missed(world: World) -> None:
    start = world.cri.start_container

    async def start_and_end(container_id: str) -> None:
        await start(container_id)
        world.cri.finish("c", 5)

    world.cri.start_container = start_and_end  # type: ignore[method-assign]
    await world.start(ONE | {"restartPolicy": "Never"})
    await world.until_phase("Failed")


async def test_a_pod_that_writes_too_much_is_evicted(world: World) -> None:
    volumes = [{"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "free", "emptyDir": {}}]
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    containers = [{"name": "c", "image": "img:1", "volumeMounts": mounts}]
    await world.start(ONE | {"containers": containers, "volumes": volumes})
    pod = await world.until_phase("Running")
    assert world.worker is not None

    def write(volume: str, size: int) -> None:
        (world.paths.volume(pod.metadata.uid, "empty-dir", volume) / "file").write_bytes(b"x" * size)

    write("free", 3 << 20)
    write("scratch", 1 << 19)
    await world.worker.check_limits()
    assert (await world.pod()).status.phase == "Running"
    write("scratch", 2 << 20)
    await world.worker.check_limits()
    ended = await world.until_phase("Failed")
    assert ended.status.reason == "Evicted"
    assert ended.status.message == 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". '


def test_usage_counts_what_is_allocated_once_and_follows_nothing(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"x" * (4 << 20))
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    assert used_bytes(tree) < 1 << 16
    (tree / "deep/file").write_bytes(b"x" * (1 << 20))
    (tree / "again").hardlink_to(tree / "deep/file")
    (tree / "link").symlink_to(tmp_path / "outside")
    with (tree / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 30)
    assert 1 << 20 <= used_bytes(tree) < 2 << 20
    assert used_bytes(tmp_path / "nowhere") == 0
