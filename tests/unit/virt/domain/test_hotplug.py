"""Which volumes are plugged in, and what is left of an instance without those that are not there yet."""

from typing import Any

import pytest

from kobune.virt.domain.hotplug import bootable, ephemeral_volumes, hotplug_volumes
from support.plugged import plugged_disk, plugged_volume
from support.vmis import vmi, vmi_document


def with_disk(disk: dict[str, Any], volume: dict[str, Any] | None = None, **devices: Any) -> dict[str, Any]:
    document = vmi_document()
    document["spec"]["domain"]["devices"]["disks"].append(disk)
    document["spec"]["domain"]["devices"].update(devices)
    document["spec"]["volumes"].append(volume or plugged_volume())
    return document


@pytest.mark.parametrize(
    ("disk", "plugged"),
    [
        (plugged_disk(), True),
        (plugged_disk(bus="virtio"), True),
        ({"name": "data", "disk": {}}, True),
        ({"name": "data", "lun": {}}, True),
        ({"name": "data", "lun": {"bus": "virtio"}}, False),
        (plugged_disk(bus="sata"), False),
        (plugged_disk(bus="usb"), False),
        ({"name": "data", "cdrom": {"bus": "scsi"}}, False),
    ],
)
def test_the_bus_decides_whether_a_marked_volume_is_plugged_in(disk: dict[str, Any], plugged: bool) -> None:
    spec = vmi(with_disk(disk)).spec
    assert set(hotplug_volumes(spec)) == ({"data"} if plugged else set())


def test_only_marked_volumes_are_plugged_in_and_none_where_plugging_is_off() -> None:
    unmarked = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}
    assert hotplug_volumes(vmi(with_disk(plugged_disk(), unmarked)).spec) == {}
    marked = {"name": "data", "dataVolume": {"name": "c", "hotpluggable": True}}
    assert set(hotplug_volumes(vmi(with_disk(plugged_disk(), marked)).spec)) == {"data"}
    assert hotplug_volumes(vmi(with_disk(plugged_disk(), disableHotplug=True)).spec) == {}


def test_a_guest_starts_without_what_is_not_there_yet() -> None:
    whole = vmi(with_disk(plugged_disk()))
    assert bootable(whole, ["data"]) is whole
    rest = bootable(whole, []).spec
    assert [disk.name for disk in rest.domain.devices.disks] == ["root", "seed"]
    assert [volume.name for volume in rest.volumes] == ["root", "seed"]


def test_ephemeral_volumes_are_listed_in_an_annotation() -> None:
    assert ephemeral_volumes({}) == set()
    assert ephemeral_volumes({"kobune.io/ephemeral-volumes": "a,b"}) == {"a", "b"}
