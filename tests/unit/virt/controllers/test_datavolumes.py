"""DataVolumes of a machine's templates."""

from typing import Any

import msgspec

from kobune.api.cdi import DataVolume
from kobune.api.kubevirt import VirtualMachine
from kobune.kube.runtime import Create
from kobune.virt.controllers.virtualmachine.datavolumes import disk_state, missing_data_volumes
from kobune.virt.controllers.virtualmachine.decide import Observed, decide
from support.vms import NOW, VM_UID, instance, machine_dict


def machine(strategy: str = "Halted") -> VirtualMachine:
    raw = machine_dict(strategy=strategy)
    source = {"http": {"url": "http://images.example/disk.img"}}
    raw["spec"]["dataVolumeTemplates"] = [
        {"metadata": {"name": "dv", "labels": {"mine": "yes"}}, "spec": {"source": source, "storage": {}}}
    ]
    return msgspec.convert(raw, VirtualMachine)


def volume(phase: str | None) -> dict[str, DataVolume]:
    status: dict[str, Any] = {"phase": phase} if phase else {}
    return {"dv": msgspec.convert({"metadata": {"name": "dv"}, "spec": {}, "status": status}, DataVolume)}


def test_what_is_missing_is_made_even_for_a_machine_that_is_off() -> None:
    (create,) = decide(Observed(machine(), None, False, None, NOW)).actions
    assert isinstance(create, Create)
    assert create.owner_uid == VM_UID
    assert create.obj["metadata"]["labels"] == {"mine": "yes", "kubevirt.io/created-by": VM_UID}
    assert create.obj["spec"]["source"] == {"http": {"url": "http://images.example/disk.img"}}
    assert missing_data_volumes(machine(), volume(None)) == []


def test_a_machine_whose_disk_is_being_filled_is_provisioning() -> None:
    assert disk_state(machine(), volume("ImportInProgress"), {}).provisioning
    assert not disk_state(machine(), volume("Succeeded"), {}).provisioning
    assert disk_state(machine(), volume("Failed"), {}).failed
    seen = Observed(machine("Always"), instance(phase="Pending"), False, None, NOW, data_volumes=volume("Pending"))
    status = decide(seen).status
    assert status is not None
    assert status.status["printableStatus"] == "Provisioning"
