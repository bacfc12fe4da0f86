"""Local volumes: decisions as tables, data on disk."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kobune.api.core import PersistentVolume, PersistentVolumeClaim, StorageClass
from kobune.base.errors import RetryableError, TerminalError
from kobune.embedded.storage import run
from kobune.embedded.storage.data import VolumeData
from kobune.embedded.storage.decide import (
    FINALIZER,
    PROVISIONED_BY,
    PROVISIONER,
    ClaimSeen,
    EraseData,
    GrowData,
    MakeData,
    StorageAction,
    VolumeSeen,
    decide_claim,
    decide_volume,
)
from kobune.host.loop import FakeLoopDevices
from kobune.host.mount import FakeMounter
from kobune.kube.client.errors import Unavailable
from kobune.kube.runtime.decision import Create, Decision, Delete, PatchObject
from kobune.kube.testing import FakeApi, Fault

UID = "0f7d7a52-1111-4222-8333-444444444444"
NAME = f"pvc-{UID}"


def claim(size: str = "1Gi", *, node: str = "node1", mode: str = "Filesystem", **more: Any) -> PersistentVolumeClaim:
    annotations = {"volume.kubernetes.io/selected-node": node} if node else {}
    metadata = {"name": "disk", "namespace": "ns", "uid": UID, "annotations": annotations} | more.pop("metadata", {})
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
        "storageClassName": "local",
        "volumeMode": mode,
    }
    document = {"metadata": metadata, "spec": spec | more.pop("spec", {}), "status": more}
    return msgspec.convert(document, PersistentVolumeClaim)


def volume(size: str = "1Gi", *, mode: str = "Filesystem", phase: str = "Bound", **more: Any) -> PersistentVolume:
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node1"]}]}]
    spec = {
        "capacity": {"storage": size},
        "volumeMode": mode,
        "persistentVolumeReclaimPolicy": "Delete",
        "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
        "local": {"path": f"/volumes/{NAME}"},
    }
    metadata = {"name": NAME, "uid": "pv", "annotations": {PROVISIONED_BY: PROVISIONER}} | more.pop("metadata", {})
    return msgspec.convert({"metadata": metadata, "spec": spec | more, "status": {"phase": phase}}, PersistentVolume)


LATE = StorageClass(provisioner=PROVISIONER, volume_binding_mode="WaitForFirstConsumer", allow_volume_expansion=True)
SOON = StorageClass(provisioner=PROVISIONER)


def look(
    the_claim: PersistentVolumeClaim,
    the_volume: PersistentVolume | None = None,
    kind: StorageClass = LATE,
    free_bytes: int = 1 << 40,
) -> Decision[StorageAction]:
    return decide_claim(ClaimSeen(the_claim, kind, the_volume, "node1", "/volumes", free_bytes))


def end(the_volume: PersistentVolume, node: str = "node1", *, claim_exists: bool = False) -> Decision[StorageAction]:
    return decide_volume(VolumeSeen(the_volume, node, "/volumes", claim_exists))


HELD = {"annotations": {PROVISIONED_BY: PROVISIONER}, "finalizers": ["other/one", FINALIZER]}
DELETED = HELD | {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def steps(decision: Decision[StorageAction]) -> list[str]:
    result = []
    for action in decision.actions:
        match action:
            case MakeData():
                result.append(f"make {action.name} {'file' if action.block else 'directory'} {action.size_bytes}")
            case GrowData():
                result.append(f"grow {action.size_bytes}")
            case EraseData():
                result.append(f"erase {action.name}")
            case Create() | PatchObject() | Delete():
                result.append(type(action).__name__)
            case _:
                result.append("?")
    return result


MADE = [f"make {NAME} directory 1073741824", "Create"]
CASES: list[tuple[str, Decision[StorageAction], list[str]]] = [
    ("a claim of this node is served", look(claim()), MADE),
    ("as a file when it is a block volume", look(claim(mode="Block")), [f"make {NAME} file 1073741824", "Create"]),
    ("a claim of another node is left to it", look(claim(node="node2")), []),
    ("a claim without a node waits", look(claim(node="")), []),
    ("unless its class does not", look(claim(node=""), kind=SOON), MADE),
    ("a claim that names a volume is left alone", look(claim(spec={"volumeName": "other"})), []),
    (
        "a deleted claim gets nothing",
        look(claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})),
        [],
    ),
    ("a volume that exists is not made again", look(claim(), volume()), []),
    ("a satisfied claim rests", look(claim(phase="Bound", capacity={"storage": "1Gi"}), volume()), []),
    (
        "a larger request grows a directory's volume by its word",
        look(claim("2Gi", phase="Bound", capacity={"storage": "1Gi"}), volume()),
        ["PatchObject"],
    ),
    (
        "and a file for real",
        look(claim("2Gi", mode="Block", phase="Bound", capacity={"storage": "1Gi"}), volume(mode="Block")),
        ["grow 2147483648", "PatchObject"],
    ),
    (
        "only where the class allows it",
        look(claim("2Gi", phase="Bound", capacity={"storage": "1Gi"}), volume(), SOON),
        [],
    ),
    ("claims from other volumes are not ours", look(claim(spec={"dataSource": {"kind": "X", "name": "x"}})), []),
    (
        "a claim that selects volumes by labels gets none",
        look(claim(spec={"selector": {"matchLabels": {"a": "b"}}})),
        [],
    ),
    ("nothing is promised that does not fit", look(claim(), free_bytes=(1 << 30) - 1), []),
    (
        "nor in addition",
        look(claim("2Gi", phase="Bound", capacity={"storage": "1Gi"}), volume(), free_bytes=(1 << 30) - 1),
        [],
    ),
    (
        "what is there already needs no room",
        look(claim("2Gi", phase="Bound", capacity={"storage": "1Gi"}), volume(), free_bytes=1 << 30),
        ["PatchObject"],
    ),
    ("sizes are whole pages", look(claim("5k", mode="Block")), [f"make {NAME} file 8192", "Create"]),
    ("a released volume is erased", end(volume(phase="Released")), [f"erase {NAME}", "Delete"]),
    (
        "its finalizer is removed once that is done",
        end(volume(phase="Released", metadata=HELD)),
        [f"erase {NAME}", "PatchObject", "Delete"],
    ),
    (
        "and no second deletion is sent",
        end(volume(phase="Released", metadata=DELETED)),
        [f"erase {NAME}", "PatchObject"],
    ),
    ("a free volume stays", end(volume(phase="Available", metadata=HELD)), []),
    (
        "until somebody deletes it",
        end(volume(phase="Available", metadata=DELETED)),
        [f"erase {NAME}", "PatchObject"],
    ),
    ("a bound one is not erased", end(volume()), []),
    ("nor when it is deleted", end(volume(metadata=DELETED)), []),
    (
        "nor when the claim is still there, whatever the phase says",
        end(volume(phase="Released"), claim_exists=True),
        [],
    ),
    ("nor one of another node", end(volume(phase="Released"), "node2"), []),
    ("nor one to be kept", end(volume(phase="Released", persistentVolumeReclaimPolicy="Retain")), []),
    (
        "which loses but its finalizer when it is deleted",
        end(volume(phase="Released", persistentVolumeReclaimPolicy="Retain", metadata=DELETED)),
        ["PatchObject"],
    ),
    ("nor one that somebody else made", end(volume(phase="Released", metadata={"annotations": {}})), []),
    ("nor one that lives elsewhere", end(volume(phase="Released", local={"path": f"/other/{NAME}"})), []),
]


@pytest.mark.parametrize(("name", "decision", "expected"), CASES, ids=[case[0] for case in CASES])
def test_steps(name: str, decision: Decision[StorageAction], expected: list[str]) -> None:
    assert steps(decision) == expected


def test_the_volume_is_held_for_its_claim_and_stays_on_its_node() -> None:
    create = look(claim()).actions[1]
    assert isinstance(create, Create)
    spec = create.obj["spec"]
    assert spec["local"] == {"path": f"/volumes/{NAME}"}
    assert spec["claimRef"]["uid"] == UID
    assert spec["capacity"] == {"storage": "1Gi"}
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["node1"]


def test_a_grown_claim_says_so() -> None:
    decision = look(claim("2Gi", phase="Bound", capacity={"storage": "1Gi"}), volume("2Gi"))
    assert decision.status is not None
    assert decision.status.status["capacity"] == {"storage": "2Gi"}


def test_a_refusal_says_what_to_do_and_looks_again() -> None:
    decision = look(claim(), free_bytes=5 << 20)
    (event,) = decision.events
    assert event.reason == "ProvisioningFailed"
    assert "node1 has 5 MiB free in /volumes, 1024 MiB more are needed" in event.message
    assert decision.requeue_after is not None


def test_other_finalizers_stay() -> None:
    patch = end(volume(phase="Released", metadata=HELD)).actions[1]
    assert isinstance(patch, PatchObject)
    assert patch.patch.body["metadata"]["finalizers"] == ["other/one"]


async def test_data_is_made_grown_and_erased(tmp_path: Path) -> None:
    loops = FakeLoopDevices()
    data = VolumeData(tmp_path / "volumes", loops, FakeMounter())
    await data.make(NAME, block=False, size_bytes=1)
    directory = tmp_path / "volumes" / NAME
    (directory / "kept").write_text("x")
    await data.make(NAME, block=False, size_bytes=1)
    assert (directory / "kept").exists()
    await data.erase(NAME)
    await data.erase(NAME)
    assert not directory.exists()
    await data.make(NAME, block=True, size_bytes=1 << 20)
    device = await loops.attach(directory)
    await data.grow(NAME, 2 << 20)
    await data.grow(NAME, 1)
    assert loops.sizes == {device: 2 << 20}
    await data.erase(NAME)
    assert loops.sizes == {}
    assert not directory.exists()


async def test_erasing_stays_inside_the_volume(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    mounter = FakeMounter()
    data = VolumeData(tmp_path / "volumes", FakeLoopDevices(), mounter)
    await data.make(NAME, block=False, size_bytes=1)
    volume_path = tmp_path / "volumes" / NAME
    (volume_path / "link").symlink_to(outside)
    (volume_path / "point").mkdir()
    await mounter.mount("bind", str(outside), volume_path / "point")
    with pytest.raises(RetryableError, match="point is mounted in volume"):
        await data.erase(NAME)
    await mounter.unmount(volume_path / "point")
    await data.erase(NAME)
    assert not volume_path.exists()
    volume_path.symlink_to(outside)
    with pytest.raises(TerminalError, match="neither a directory nor a file"):
        await data.erase(NAME)
    with pytest.raises(OSError, match="symbolic links"):
        await data.make(NAME, block=True, size_bytes=1)
    assert (outside / "precious").read_text() == "x"


async def test_only_unfinished_volumes_are_swept(tmp_path: Path) -> None:
    loops = FakeLoopDevices()
    data = VolumeData(tmp_path, loops, FakeMounter())
    names = [f"{NAME[:-1]}{digit}" for digit in "abcdef"]
    known, empty_file, empty_directory, written_file, written_directory, attached = names
    for name in (known, empty_directory, written_directory):
        await data.make(name, block=False, size_bytes=1)
    for name in (empty_file, written_file, attached):
        await data.make(name, block=True, size_bytes=1 << 20)
    (tmp_path / written_file).write_bytes(b"x" * 8192)
    (tmp_path / written_directory / "x").write_text("x")
    (tmp_path / "somebody's").mkdir()
    await loops.attach(tmp_path / attached)
    await data.sweep(frozenset({known}))
    assert set(os.listdir(tmp_path)) == {known, written_file, written_directory, attached, "somebody's"}
    assert loops.sizes == {}, "nobody else gives back the device of a volume without an object"


async def test_devices_are_given_back_and_data_stays(tmp_path: Path) -> None:
    loops = FakeLoopDevices()
    data = VolumeData(tmp_path, loops, FakeMounter())
    await data.make(NAME, block=True, size_bytes=1 << 20)
    await loops.attach(tmp_path / NAME)
    assert await data.detach_all() == []
    assert loops.sizes == {}
    assert (tmp_path / NAME).exists()


@pytest.mark.parametrize("name", ["../etc", "pvc-", f"{NAME}/..", "/", "", f"{NAME}\n"])
async def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    data = VolumeData(tmp_path, FakeLoopDevices(), FakeMounter())
    with pytest.raises(TerminalError, match="no name of a local volume"):
        await data.erase(name)


async def test_a_start_waits_for_the_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RETRY_S", 0.01)
    api = FakeApi()
    api.faults.add(Fault("list", "persistentvolumes", Unavailable(503, "Unavailable", "mishap"), times=2))
    left = tmp_path / NAME
    left.mkdir()
    ready = asyncio.Event()
    config = run.StorageConfig(tmp_path / "unused", "node1", tmp_path)
    task = asyncio.create_task(run.run_with_client(config, api, loops=FakeLoopDevices(), ready=ready))
    await asyncio.wait_for(ready.wait(), 5)
    assert not task.done()
    assert os.listdir(tmp_path) == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
