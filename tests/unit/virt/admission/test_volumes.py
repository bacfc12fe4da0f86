"""addvolume, removevolume, and what of a running instance's disks may change."""

from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.virt.admission.subresources.failure import Failure
from kobune.virt.admission.subresources.volumes import add_volume, ephemeral_annotations, remove_volume
from kobune.virt.admission.validation.hotplug import check_plugging
from support.plugged import plugged_disk, plugged_volume
from support.vms import instance_dict, spec

ROOT_DISK = spec()["domain"]["devices"]["disks"]
CLAIM = {"persistentVolumeClaim": {"claimName": "c"}}
OPTIONS = {"name": "data", "disk": {"name": "x", "disk": {"bus": "virtio"}, "serial": "s"}, "volumeSource": CLAIM}


def with_volume(*names: str) -> dict[str, Any]:
    base = spec()
    base["domain"]["devices"]["disks"] = [*ROOT_DISK, *(plugged_disk(name) for name in names)]
    return {**base, "volumes": [*base["volumes"], *(plugged_volume(name, f"claim-{name}") for name in names)]}


def test_a_volume_is_added_with_its_mark_and_its_disk_has_its_name() -> None:
    patch = add_volume("virtualmachine", "vm", spec(), OPTIONS)
    assert patch["volumes"][-1] == plugged_volume()
    assert patch["domain"]["devices"]["disks"][-1] == {"name": "data", "disk": {"bus": "virtio"}, "serial": "s"}
    assert len(patch["volumes"]) == len(spec()["volumes"]) + 1


def test_a_disk_without_a_bus_is_on_scsi() -> None:
    patch = add_volume("virtualmachine", "vm", spec(), {**OPTIONS, "disk": {"disk": {}}})
    assert patch["domain"]["devices"]["disks"][-1]["disk"] == {"bus": "scsi"}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"name": "root"}, 409, r"Unable to add volume \[root\] because volume with that name already exists"),
        (
            {"volumeSource": {"dataVolume": {"name": "claim-known"}}},
            409,
            r"Unable to add volume source \[claim-known\] because it already exists",
        ),
        ({"volumeSource": {}}, 400, "to name a dataVolume or a persistentVolumeClaim"),
        ({"disk": {"disk": {"bus": "sata"}}}, 422, r"bus to be 'scsi' or 'virtio'. \[sata\] is not permitted"),
        ({"disk": {"lun": {"bus": "virtio"}}}, 422, r"for LUN \[data\] requires bus to be 'scsi'"),
        ({"disk": {"cdrom": {"bus": "scsi"}}}, 422, "requires diskDevice of type 'disk' or 'lun'"),
        ({"disk": {"disk": {"bus": "scsi"}, "dedicatedIOThread": True}}, 422, "requires virtio bus for IOThreads"),
        ({"disk": {"disk": {"bus": "scsi"}, "bootOrder": 0}}, 422, "boot order > 0"),
    ],
)
def test_what_cannot_be_added_is_refused(options: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(Failure, match=message) as failure:
        add_volume("virtualmachine", "vm", with_volume("known"), {**OPTIONS, **options})
    assert failure.value.code == code


@pytest.mark.parametrize("name", ["data", "claim-data"])
def test_a_volume_is_removed_by_its_name_or_its_claim(name: str) -> None:
    patch = remove_volume("virtualmachine", "vm", with_volume("data", "other"), name)
    assert [volume["name"] for volume in patch["volumes"]] == ["root", "other"]
    assert [disk["name"] for disk in patch["domain"]["devices"]["disks"]] == ["root", "other"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("nothing", r"\[nothing\] because it does not exist"), ("root", r"\[root\] because it is not hotpluggable")],
)
def test_what_cannot_be_removed_is_refused(name: str, message: str) -> None:
    with pytest.raises(Failure, match=message) as failure:
        remove_volume("virtualmachineinstance", "vm", with_volume("data"), name)
    assert failure.value.code == 409


def test_an_instance_notes_which_volumes_are_its_own() -> None:
    name = "kobune.io/ephemeral-volumes"
    added = ephemeral_annotations({}, spec(), with_volume("data"))
    assert added == {name: "data"}
    assert ephemeral_annotations({"annotations": added}, with_volume("data"), with_volume("data", "b")) == {
        name: "b,data"
    }
    assert ephemeral_annotations({"annotations": added}, with_volume("data"), spec()) == {name: None}
    # What came with the machine is not the instance's own.
    assert ephemeral_annotations({}, with_volume("data"), spec()) == {name: None}


# Changes of an instance


def instance(specification: dict[str, Any], *plugged: str) -> VirtualMachineInstance:
    entries = [{"name": "root", "target": "vda"}]
    entries += [{"name": name, "target": "", "hotplugVolume": {}} for name in plugged]  # type: ignore[dict-item]
    document = instance_dict(phase="Running", status={"volumeStatus": entries})
    return msgspec.convert({**document, "spec": specification}, VirtualMachineInstance)


def complaints(old: VirtualMachineInstance, new: VirtualMachineInstance) -> list[str]:
    return [problem.message for problem in check_plugging(old, new)]


def test_plugged_volumes_come_and_go() -> None:
    assert complaints(instance(spec()), instance(with_volume("data"))) == []
    assert complaints(instance(with_volume("data"), "data"), instance(spec())) == []
    assert complaints(instance(spec()), instance(spec())) == []


def test_nothing_else_of_the_disks_changes() -> None:
    without_root = {**spec(), "volumes": []}
    without_root["domain"]["devices"]["disks"] = []
    assert complaints(instance(spec()), instance(without_root)) == ["Number of permanent volumes has changed"]
    other_image = {**spec(), "volumes": [{"name": "root", "containerDisk": {"image": "other"}}]}
    assert complaints(instance(spec()), instance(other_image)) == ["permanent volume root, changed"]
    other_disk = spec()
    other_disk["domain"]["devices"]["disks"] = [{"name": "root", "disk": {"bus": "sata"}}]
    assert complaints(instance(spec()), instance(other_disk)) == ["permanent disk root, changed"]
    changed = with_volume("data")
    changed["volumes"][-1]["persistentVolumeClaim"]["claimName"] = "other"
    assert complaints(instance(with_volume("data"), "data"), instance(changed)) == ["hotplug volume data, changed"]


def test_what_comes_must_be_a_claim_with_a_disk_that_can_be_plugged_in() -> None:
    image = with_volume("data")
    image["volumes"][-1] = {"name": "data", "containerDisk": {"image": "i"}}
    assert complaints(instance(spec()), instance(image)) == ["volume data is not a PVC or DataVolume"]
    unshown = with_volume("data")
    unshown["domain"]["devices"]["disks"] = list(ROOT_DISK)
    assert complaints(instance(spec()), instance(unshown)) == ["disk data does not exist"]
    sata = with_volume("data")
    sata["domain"]["devices"]["disks"][-1] = plugged_disk(bus="sata")
    assert "Hotplug configuration for disk [data] requires bus" in complaints(instance(spec()), instance(sata))[0]
    lost = with_volume("data")
    lost["volumes"] = spec()["volumes"]
    assert complaints(instance(spec()), instance(lost)) == ["disk data has no volume"]
