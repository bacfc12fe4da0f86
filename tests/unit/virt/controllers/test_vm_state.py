"""The claim of a guest's own state: when it is made, whose it is, where it is mounted."""

from typing import Any

import pytest

from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS
from kobune.kube.runtime.decision import Create
from kobune.virt.controllers.virtualmachineinstance.decide import Observed, decide
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import PodSettings, launcher_pod
from support.vms import NOW, VM_UID, VMI_UID, instance, spec

TPM = {"devices": {"tpm": {"persistent": True}}}
EFI = {"devices": {}, "firmware": {"bootloader": {"efi": {"persistent": True}}}}


def with_domain(domain: dict[str, Any]) -> dict[str, Any]:
    return {"domain": {**spec()["domain"], **domain}, "volumes": []}


def claims(seen: Observed) -> list[Create]:
    made = [action for action in decide(seen).actions if isinstance(action, Create)]
    return [action for action in made if action.resource is PERSISTENT_VOLUME_CLAIMS]


@pytest.mark.parametrize("domain", [TPM, EFI], ids=["tpm", "efi"])
def test_a_machine_with_state_gets_a_claim_of_its_own_before_its_pod(domain: dict[str, Any]) -> None:
    vmi = instance(spec_changes=with_domain(domain))
    (made,) = claims(Observed(vmi, (), NOW, PodSettings("launcher:1", state_storage_class="fast")))
    assert made.obj["metadata"]["name"] == "persistent-state-for-vm"
    assert made.obj["metadata"]["labels"] == {"persistent-state-for": "vm"}
    (owner,) = made.obj["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], made.owner_uid) == ("VirtualMachine", VM_UID, VM_UID)
    assert made.obj["spec"]["storageClassName"] == "fast"
    pod = launcher_pod(vmi, PodSettings("launcher:1"))["spec"]
    assert {"name": "vm-state", "persistentVolumeClaim": {"claimName": "persistent-state-for-vm"}} in pod["volumes"]
    assert {"name": "vm-state", "mountPath": "/var/run/kubevirt-private/vm-state"} in pod["containers"][0][
        "volumeMounts"
    ]


def test_an_instance_without_a_machine_owns_its_claim_in_the_default_class() -> None:
    vmi = instance(spec_changes=with_domain(TPM), ownerReferences=[])
    (made,) = claims(Observed(vmi, (), NOW, PodSettings("launcher:1")))
    assert made.owner_uid == VMI_UID
    assert "storageClassName" not in made.obj["spec"]


def test_a_claim_that_is_there_is_used_again() -> None:
    vmi = instance(spec_changes=with_domain(TPM))
    assert claims(Observed(vmi, (), NOW, PodSettings("launcher:1"), has_state_claim=True)) == []


@pytest.mark.parametrize(
    "domain",
    [
        {"devices": {"tpm": {}}},
        {"devices": {"tpm": {"enabled": False, "persistent": True}}},
        {"devices": {}, "firmware": {"bootloader": {"efi": {}}}},
    ],
    ids=["state for the pod's life", "no TPM", "EFI for the pod's life"],
)
def test_nothing_is_claimed_for_what_need_not_stay(domain: dict[str, Any]) -> None:
    vmi = instance(spec_changes=with_domain(domain))
    assert claims(Observed(vmi, (), NOW, PodSettings("launcher:1"))) == []
    assert "vm-state" not in [volume["name"] for volume in launcher_pod(vmi, PodSettings("x"))["spec"]["volumes"]]
