"""virt-handler asks the pod of the launcher image, labels its Node, and remembers."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.host.run.fake import FakeRunner
from kobune.kube.client.core import NODES, PODS
from kobune.kube.client.resource import Key
from kobune.kube.runtime import ControllerProcess
from kobune.kube.testing import FakeApi, eventually
from kobune.virt.handler.devices.kvm import KvmProof
from kobune.virt.handler.labeller.wire import Labeller
from kobune.virt.launcher import cpufacts
from kobune.virt.launcherproto.cpufacts import CpuFacts

NODE = Key("", "n1")
IMAGE = "kobune/virt-launcher:1 tcg"
DATA = Path(__file__).parent / "data"


@pytest.fixture
async def kubelet_root() -> AsyncIterator[Path]:
    """Short: a socket's path has a limit."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def answer(_: bool) -> CpuFacts:
    """Instead of libvirt."""
    return CpuFacts(
        domain_capabilities=(DATA / "domain-capabilities-tcg.xml").read_text(),
        capabilities=(DATA / "capabilities-tcg.xml").read_text(),
        baseline=(DATA / "baseline-tcg.xml").read_text(),
        model_features={"Nehalem": ["nx"]},
    )


def host(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir(exist_ok=True)
    (tmp_path / "proc/cpuinfo").write_text("vendor_id : GenuineIntel\n")
    return tmp_path


async def test_the_answer_of_the_pod_becomes_labels(
    tmp_path: Path, kubelet_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpufacts, "ask_libvirt", answer)
    api = FakeApi()
    api.seed(
        NODES,
        {
            "metadata": {
                "name": "n1",
                "labels": {"cpu-model.node.kubevirt.io/Gone": "true", "mine": "1"},
                "annotations": {"kobune.io/cpu-facts": "of an earlier boot"},
            }
        },
    )
    process = ControllerProcess(api, component="virt-handler", instance="n1")
    kvm = KvmProof(FakeRunner(), tmp_path / "state")
    labeller = Labeller(process, "n1", kubelet_root, tmp_path / "state", kvm, variant="boot", host=host(tmp_path))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(process.run()), group.create_task(labeller.run())]

        def labels() -> dict[str, str]:
            found = api.peek(NODES, NODE)
            assert found is not None
            return found.metadata.labels

        await eventually(lambda: labels().get("machine-type.node.kubevirt.io/q35") == "true", "the first labels")
        assert "cpu-model.node.kubevirt.io/Gone" not in labels()
        found = api.peek(NODES, NODE)
        assert found is not None
        assert "kobune.io/cpu-facts" not in found.metadata.annotations, "what another boot said does not hold"
        pod = api.seed(
            PODS,
            {
                "metadata": {
                    "name": "kobune-cpu-facts-n1",
                    "namespace": "kobune",
                    "labels": {"kobune.io/cpu-facts": ""},
                    "annotations": {"kobune.io/cpu-facts": IMAGE},
                },
                "spec": {"nodeName": "n1", "containers": []},
                "status": {"phase": "Running"},
            },
        )
        volume = kubelet_root / f"pods/{pod.metadata.uid}/volumes/kubernetes.io~empty-dir/facts"
        volume.mkdir(parents=True)
        serving = group.create_task(cpufacts.serve(volume))
        await eventually(lambda: labels().get("cpu-model.node.kubevirt.io/Nehalem") == "true", "the answer's labels")
        assert await serving, "the pod ends when it has answered"
        assert labels()["mine"] == "1"
        assert labels()["cpu-vendor.node.kubevirt.io/AMD"] == "true"
        found = api.peek(NODES, NODE)
        assert found is not None
        assert found.metadata.annotations["kobune.io/cpu-facts"] == IMAGE
        for task in tasks:
            task.cancel()
    again = Labeller(process, "n1", kubelet_root, tmp_path / "state", kvm, variant="boot", host=tmp_path)
    assert again.answered_for == IMAGE, "kept over a restart"
    rebooted = Labeller(process, "n1", kubelet_root, tmp_path / "state", kvm, variant="other boot", host=tmp_path)
    assert rebooted.answered_for == ""


def test_features_of_models_are_read_from_libvirts_map(tmp_path: Path) -> None:
    (tmp_path / "x86_Tiny.xml").write_text(
        "<cpus><model name='Tiny'><feature name='fpu'/><feature name='nx'/></model></cpus>"
    )
    (tmp_path / "x86_features.xml").write_text("<cpus><feature name='fpu'/></cpus>")
    (tmp_path / "arm_Other.xml").write_text("<cpus><model name='Other'/></cpus>")
    assert cpufacts.model_features(tmp_path) == {"Tiny": ["fpu", "nx"]}
