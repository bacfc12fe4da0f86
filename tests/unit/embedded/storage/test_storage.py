"""Local volumes: decisions as tables, data on disk, loop devices by their commands."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kobune.api.core import PersistentVolume, PersistentVolumeClaim, StorageClass
from kobune.base.errors import TerminalError
from kobune.embedded.storage.data import VolumeData
from kobune.embedded.storage.decide import (
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
from kobune.host.loop import LoopDevices
from kobune.host.run.fake import FakeRunner
from kobune.kube.runtime.decision import Create, Decision, Delete, PatchObject

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
    }
    metadata = {"name": NAME, "uid": "pv", "annotations": {PROVISIONED_BY: PROVISIONER}} | more.pop("metadata", {})
    return msgspec.convert({"metadata": metadata, "spec": spec | more, "status": {"phase": phase}}, PersistentVolume)


LATE = StorageClass(provisioner=PROVISIONER, volume_binding_mode="WaitForFirstConsumer", allow_volume_expansion=True)
SOON = StorageClass(provisioner=PROVISIONER)


def look(
    the_claim: PersistentVolumeClaim, the_volume: PersistentVolume | None = None, kind: StorageClass = LATE
) -> Decision[StorageAction]:
    return decide_claim(ClaimSeen(the_claim, kind, the_volume, "node1", "/volumes"))


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
        "a released volume is erased",
        decide_volume(VolumeSeen(volume(phase="Released"), "node1")),
        [f"erase {NAME}", "Delete"],
    ),
    ("a bound one is not", decide_volume(VolumeSeen(volume(), "node1")), []),
    ("one of another node is not", decide_volume(VolumeSeen(volume(phase="Released"), "node2")), []),
    (
        "one to be kept is not",
        decide_volume(VolumeSeen(volume(phase="Released", persistentVolumeReclaimPolicy="Retain"), "node1")),
        [],
    ),
    (
        "one that somebody else made is not",
        decide_volume(VolumeSeen(volume(phase="Released", metadata={"annotations": {}}), "node1")),
        [],
    ),
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


def losetup(runner: FakeRunner, *devices: str) -> None:
    listed = {"loopdevices": [{"name": name, "back-file": "x"} for name in devices]}
    runner.on("losetup", "--json", stdout=json.dumps(listed).encode() if devices else b"")
    runner.on("losetup", "--find", stdout=b"/dev/loop7\n")
    runner.on("losetup", "--set-capacity")
    runner.on("losetup", "--detach")


async def test_data_is_made_grown_and_erased(tmp_path: Path) -> None:
    runner = FakeRunner()
    losetup(runner, "/dev/loop3")
    data = VolumeData(tmp_path / "volumes", LoopDevices(runner))
    await data.make(NAME, block=False, size_bytes=1)
    directory = tmp_path / "volumes" / NAME
    (directory / "kept").write_text("x")
    await data.make(NAME, block=False, size_bytes=1)
    assert (directory / "kept").exists()
    await data.erase(NAME)
    await data.erase(NAME)
    assert not directory.exists()
    await data.make(NAME, block=True, size_bytes=1 << 20)
    assert directory.stat().st_size == 1 << 20
    await data.grow(NAME, 2 << 20)
    await data.grow(NAME, 1)
    assert directory.stat().st_size == 2 << 20
    assert ("losetup", "--set-capacity", "/dev/loop3") in [call.args for call in runner.calls]
    await data.erase(NAME)
    assert runner.calls[-1].args == ("losetup", "--detach", "/dev/loop3")
    assert not directory.exists()


@pytest.mark.parametrize("name", ["../etc", "pvc-", f"{NAME}/..", "/", ""])
async def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    data = VolumeData(tmp_path, LoopDevices(FakeRunner()))
    with pytest.raises(TerminalError, match="no name of a local volume"):
        await data.erase(name)


async def test_one_device_per_file(tmp_path: Path) -> None:
    runner = FakeRunner()
    losetup(runner)
    loops = LoopDevices(runner)
    assert await loops.attach(tmp_path / "f") == Path("/dev/loop7")
    losetup(runner, "/dev/loop3")
    assert await loops.attach(tmp_path / "f") == Path("/dev/loop3")
