"""Labels of a node, and its heartbeat."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import KubeVirt
from kobune.kube.client.core import NODES
from kobune.kube.testing import FakeApi, FakeClock, eventually
from kobune.virt.handler.heartbeat import heartbeat
from kobune.virt.handler.labeller.documents import NodeCpu, read_cpu
from kobune.virt.handler.labeller.labels import LabelPolicy, changed_labels, node_labels, vendor_label
from kobune.virt.handler.labeller.wire import label_policy
from kobune.virt.launcherproto.cpufacts import CpuFacts

DATA = Path(__file__).parent / "data"


def tcg_facts(**changes: Any) -> CpuFacts:
    """What libvirt 9.0 of the launcher image said on a node without KVM."""
    facts = CpuFacts(
        domain_capabilities=(DATA / "domain-capabilities-tcg.xml").read_text(),
        capabilities=(DATA / "capabilities-tcg.xml").read_text(),
        baseline=(DATA / "baseline-tcg.xml").read_text(),
        model_features={"Nehalem": ["sse4.2", "nx"], "Skylake-Server": ["avx512f"], "486": ["fpu"], "EPYC": ["svm"]},
    )
    return msgspec.structs.replace(facts, **changes)


KVM = NodeCpu(
    kvm=True,
    host_model="Skylake-Client",
    vendor="Intel",
    required=("vmx", "ss"),
    usable=("Penryn", "Skylake-Client", "Opteron_G2", "486"),
    known=("Penryn", "Skylake-Client", "Opteron_G2", "486", "EPYC"),
    features=("avx2", "sse4.1"),
    model_features={"Penryn": ["sse4.1"], "Skylake-Client": ["avx2", "tsx"], "Opteron_G3": ["svm"], "486": []},
    machines=("pc", "q35", "pc-q35-7.2", "pc-q35-3.1"),
    hyperv=("relaxed", "vapic", "stimer", "vendor_id", "evmcs"),
    tsc_frequency_hz=2_600_000_000,
    tsc_scalable=True,
)


def test_documents_of_libvirt_are_read() -> None:
    cpu = read_cpu(tcg_facts(), kvm=False)
    assert (cpu.host_model, cpu.vendor) == ("EPYC", "AMD")
    assert "Nehalem" in cpu.usable
    assert "Skylake-Server" in cpu.known
    assert "Skylake-Server" not in cpu.usable
    assert {"avx2", "sse4.2"} <= set(cpu.features)
    assert "sha-ni" not in cpu.features, "a disabled feature is none"
    assert {"q35", "pc-q35-7.2"} <= set(cpu.machines)
    assert (cpu.tsc_frequency_hz, cpu.sev) == (0, False)


def test_an_error_of_libvirt_is_told() -> None:
    with pytest.raises(ValueError, match="no QEMU"):
        read_cpu(CpuFacts(error="no QEMU"), kvm=False)
    with pytest.raises(ValueError, match="no XML"):
        read_cpu(tcg_facts(capabilities="<oops"), kvm=False)


def test_a_node_without_kvm_offers_every_known_model_and_the_emulated_features() -> None:
    labels = node_labels(read_cpu(tcg_facts(), kvm=False), LabelPolicy())
    assert labels["cpu-model.node.kubevirt.io/Nehalem"] == "true"
    assert labels["cpu-model.node.kubevirt.io/Skylake-Server"] == "true", "TCG leaves out what it cannot do"
    assert "cpu-model.node.kubevirt.io/486" not in labels, "obsolete"
    assert labels["cpu-feature.node.kubevirt.io/avx2"] == "true"
    assert "cpu-feature.node.kubevirt.io/avx512f" not in labels
    assert labels["host-model-cpu.node.kubevirt.io/EPYC"] == "true"
    assert labels["host-model-required-features.node.kubevirt.io/clwb"] == "true"
    assert labels["machine-type.node.kubevirt.io/pc-q35-7.2"] == "true"
    assert labels["kubevirt.io/ksm-enabled"] == "false"
    assert not any(name.startswith("hyperv.node.kubevirt.io/") for name in labels), "enlightenments need KVM"


def test_a_node_with_kvm_offers_what_its_processor_has() -> None:
    assert node_labels(KVM, LabelPolicy(), ksm=True, realtime=True) == {
        "cpu-feature.node.kubevirt.io/avx2": "true",
        "cpu-feature.node.kubevirt.io/sse4.1": "true",
        "cpu-model.node.kubevirt.io/Penryn": "true",
        "cpu-model-migration.node.kubevirt.io/Penryn": "true",
        "cpu-model.node.kubevirt.io/Skylake-Client": "true",
        "cpu-model-migration.node.kubevirt.io/Skylake-Client": "true",
        "host-model-cpu.node.kubevirt.io/Skylake-Client": "true",
        "host-model-required-features.node.kubevirt.io/vmx": "true",
        "host-model-required-features.node.kubevirt.io/ss": "true",
        "cpu-vendor.node.kubevirt.io/Intel": "true",
        "machine-type.node.kubevirt.io/q35": "true",
        "machine-type.node.kubevirt.io/pc-q35-7.2": "true",
        "hyperv.node.kubevirt.io/base": "true",
        "hyperv.node.kubevirt.io/synictimer": "true",
        "cpu-timer.node.kubevirt.io/tsc-frequency": "2600000000",
        "cpu-timer.node.kubevirt.io/tsc-scalable": "true",
        "scheduling.node.kubevirt.io/tsc-frequency-2600000000": "true",
        "kubevirt.io/ksm-enabled": "true",
        "kubevirt.io/realtime": "",
    }


def test_an_obsolete_host_model_is_marked() -> None:
    labels = node_labels(KVM, LabelPolicy(obsolete=frozenset({"Skylake-Client"})))
    assert labels["node-labeller.kubevirt.io/obsolete-host-model"] == "true"
    assert "cpu-model.node.kubevirt.io/Skylake-Client" not in labels
    assert "cpu-model-migration.node.kubevirt.io/Skylake-Client" not in labels
    assert labels["cpu-model.node.kubevirt.io/486"] == "true", "the installation's list replaces the usual one"


def test_models_below_the_minimum_are_not_offered() -> None:
    labels = node_labels(KVM, LabelPolicy(minimum_model="Skylake-Client"))
    offered = {name for name in labels if name.startswith("cpu-model.node.kubevirt.io/")}
    assert offered == {"cpu-model.node.kubevirt.io/Skylake-Client"}


def test_before_libvirt_was_asked_only_the_default_machine_is_promised() -> None:
    assert node_labels(None, LabelPolicy()) == {
        "machine-type.node.kubevirt.io/q35": "true",
        "kubevirt.io/ksm-enabled": "false",
    }


def test_only_our_own_labels_are_taken_away() -> None:
    present = {"cpu-model.node.kubevirt.io/Old": "true", "kubevirt.io/schedulable": "true", "mine": "1", "kept": "a"}
    wanted = {"kept": "a", "cpu-model.node.kubevirt.io/New": "true"}
    assert changed_labels(present, wanted) == {
        "cpu-model.node.kubevirt.io/Old": None,
        "cpu-model.node.kubevirt.io/New": "true",
    }


def test_the_processor_names_its_vendor() -> None:
    assert vendor_label("vendor_id\t: GenuineIntel\n") == {"cpu-vendor.node.kubevirt.io/Intel": "true"}
    assert vendor_label("vendor_id : SomebodyElse\n") == {}


def test_the_installation_decides_about_models() -> None:
    told = {"obsoleteCPUModels": {"EPYC": True, "Penryn": False}, "minCPUModel": "Nehalem"}
    installation = msgspec.convert({"spec": {"configuration": told}}, KubeVirt)
    assert label_policy([installation]) == LabelPolicy(obsolete=frozenset({"EPYC"}), minimum_model="Nehalem")
    assert label_policy([]) == LabelPolicy()


async def test_a_node_is_announced_as_soon_as_it_is_registered() -> None:
    api = FakeApi()
    beating = asyncio.create_task(heartbeat(api, "n1", "10.0.0.1:8186", FakeClock()))
    try:
        await eventually(lambda: any(request.verb == "patch" for request in api.requests), "a first attempt")
        await api.create(NODES, {"metadata": {"name": "n1", "labels": {"kept": "yes"}}})
        async with asyncio.timeout(5):
            while not (node := await api.get(NODES, "n1")).metadata.annotations:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert node.metadata.labels == {"kept": "yes", "kubevirt.io/schedulable": "true"}
        assert node.metadata.annotations["kobune.io/virt-handler-address"] == "10.0.0.1:8186"
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
