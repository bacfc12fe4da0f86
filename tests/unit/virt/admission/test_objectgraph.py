"""What a machine depends on, as a tree."""

from typing import Any

import msgspec
import pytest

from kobune.api.core import PersistentVolumeClaim
from kobune.api.kubevirt import ObjectGraphNode, ObjectGraphOptions, VirtualMachine, VirtualMachineInstance
from kobune.virt.admission.subresources.failure import Failure
from kobune.virt.admission.subresources.memorydump import check_claim, check_removal, claim_of_request
from kobune.virt.admission.subresources.objectgraph import instance_graph, machine_graph

SPEC: dict[str, Any] = {
    "domain": {"devices": {}},
    "accessCredentials": [
        {
            "sshPublicKey": {
                "source": {"secret": {"secretName": "keys"}},
                "propagationMethod": {"noCloud": {}},
            }
        }
    ],
    "networks": [{"name": "default", "pod": {}}, {"name": "b", "multus": {"networkName": "other/blue"}}],
    "volumes": [
        {"name": "dv", "dataVolume": {"name": "disk"}},
        {"name": "pvc", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "image", "containerDisk": {"image": "i"}},
        {"name": "conf", "configMap": {"name": "settings"}},
        {"name": "sec", "secret": {"secretName": "password"}},
        {"name": "sa", "serviceAccount": {"serviceAccountName": "robot"}},
        {
            "name": "ci",
            "cloudInitNoCloud": {"secretRef": {"name": "user"}, "networkDataSecretRef": {"name": "network"}},
        },
    ],
}


def lines(node: ObjectGraphNode, depth: int = 0) -> list[str]:
    """One line per node, indented by depth."""
    reference = node.object_reference
    where = f"{reference.namespace}/" if reference.namespace else ""
    kind = f"{reference.api_group}/{reference.kind}" if reference.api_group else reference.kind
    label = node.labels["kubevirt.io/dependency-type"]
    mark = "?" if node.optional else ""
    own = f"{'  ' * depth}{kind} {where}{reference.name}{mark} {label}"
    return [own, *(line for child in node.children for line in lines(child, depth + 1))]


def machine() -> VirtualMachine:
    raw = {
        "metadata": {"name": "vm", "namespace": "d"},
        "spec": {
            "instancetype": {"name": "small"},
            "preference": {"name": "linux", "kind": "VirtualMachinePreference", "revisionName": "rev-p"},
            "template": {"spec": SPEC},
        },
        "status": {
            "created": True,
            "instancetypeRef": {"name": "small", "controllerRevisionRef": {"name": "rev-i"}},
        },
    }
    return msgspec.convert(raw, VirtualMachine)


OF_SPEC = [
    "  Secret d/keys config",
    "  cdi.kubevirt.io/DataVolume d/disk storage",
    "    PersistentVolumeClaim d/disk storage",
    "  PersistentVolumeClaim d/claim storage",
    "  ConfigMap d/settings config",
    "  Secret d/password config",
    "  ServiceAccount d/robot network",
    "  Secret d/user config",
    "  Secret d/network config",
    "  k8s.cni.cncf.io/NetworkAttachmentDefinition other/blue network",
]


def test_a_machine_s_tree_has_its_instance_types_and_data() -> None:
    assert lines(machine_graph(machine(), "pod", ObjectGraphOptions())) == [
        "kubevirt.io/VirtualMachine d/vm compute",
        "  kubevirt.io/VirtualMachineInstance d/vm compute",
        "    Pod d/pod compute",
        "  instancetype.kubevirt.io/VirtualMachineClusterInstancetype small? config",
        "  apps/ControllerRevision d/rev-i config",
        "  instancetype.kubevirt.io/VirtualMachinePreference d/linux? config",
        "  apps/ControllerRevision d/rev-p config",
        *OF_SPEC,
    ]


def test_an_instance_s_tree_starts_with_its_pod() -> None:
    raw = {"metadata": {"name": "vmi", "namespace": "d"}, "spec": SPEC}
    vmi = msgspec.convert(raw, VirtualMachineInstance)
    root = "kubevirt.io/VirtualMachineInstance d/vmi compute"
    assert lines(instance_graph(vmi, "p", ObjectGraphOptions())) == [root, "  Pod d/p compute", *OF_SPEC]
    assert lines(instance_graph(vmi, "", ObjectGraphOptions())) == [root, *OF_SPEC]


def test_options_leave_out_optional_nodes_and_what_a_selector_does_not_select() -> None:
    without = machine_graph(machine(), "pod", ObjectGraphOptions(include_optional_nodes=False))
    assert not any("?" in line for line in lines(without))
    raw = {"labelSelector": {"matchLabels": {"kubevirt.io/dependency-type": "storage"}}}
    storage = machine_graph(machine(), "pod", msgspec.convert(raw, ObjectGraphOptions))
    assert lines(storage)[1:] == [line for line in OF_SPEC if line.endswith("storage")]


def with_dump(**request: Any) -> VirtualMachine:
    return msgspec.convert(
        {
            "metadata": {"name": "vm"},
            "spec": {"template": {"spec": SPEC}},
            "status": {"memoryDumpRequest": {"claimName": "used", "phase": "Completed", **request}} if request else {},
        },
        VirtualMachine,
    )


def test_a_dump_goes_to_one_claim() -> None:
    assert claim_of_request(with_dump(), "c") == "c"
    assert claim_of_request(with_dump(phase="Completed"), "") == "used"
    with pytest.raises(Failure, match="requires claim name"):
        claim_of_request(with_dump(), "")
    with pytest.raises(Failure, match=r"while pvc \[used\] is still associated"):
        claim_of_request(with_dump(phase="Completed"), "other")
    assert claim_of_request(with_dump(phase="Failed"), "used") == "used"
    for phase in ("Associating", "InProgress", "Unmounting", "Dissociating"):
        with pytest.raises(Failure, match=r"for pvc \[used\] already in progress"):
            claim_of_request(with_dump(phase=phase), "used")
    with pytest.raises(Failure, match="no association found"):
        check_removal(with_dump())
    with pytest.raises(Failure, match="already exists"):
        check_removal(with_dump(remove=True))
    check_removal(with_dump(phase="Completed"))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"volumeMode": "Block"}, "filesystem pvc"),
        ({"accessModes": ["ReadOnlyMany"]}, "read only"),
        ({"resources": {"requests": {"storage": "128Mi"}}}, r"pvc size \[128Mi\] should be bigger then \[228Mi\]"),
    ],
)
def test_a_claim_that_cannot_take_the_dump_is_told(spec: dict[str, Any], why: str) -> None:
    def claim(spec: dict[str, Any]) -> PersistentVolumeClaim:
        return msgspec.convert({"metadata": {"name": "c"}, "spec": spec}, PersistentVolumeClaim)

    with pytest.raises(Failure, match=why):
        check_claim(claim(spec), 128 << 20)
    check_claim(claim({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}), 128 << 20)
