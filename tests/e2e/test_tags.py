"""Tags of devices, read by the guest on its config drive and found where it says they are."""

import json
from collections.abc import Iterator

import pytest

from support.guest_shell import look, machine
from support.instance import Instance

NAME = "tagged"
MAC = "02:4b:00:00:00:7a"
DRIVE = "sudo mkdir -p /tmp/drive && sudo mount -o ro /dev/disk/by-id/virtio-drive /tmp/drive"
GUEST = machine(
    NAME,
    disks=[
        {"name": "spare", "disk": {"bus": "virtio"}, "serial": "spare", "tag": "scratch"},
        {"name": "drive", "disk": {"bus": "virtio"}, "serial": "drive"},
    ],
    volumes=[
        {"name": "spare", "emptyDisk": {"capacity": "16Mi"}},
        {"name": "drive", "cloudInitConfigDrive": {"userData": "#cloud-config\nhostname: tagged\n"}},
    ],
    devices={"interfaces": [{"name": "default", "masquerade": {}, "macAddress": MAC, "tag": "outside"}]},
)


@pytest.fixture
def guest(instance: Instance) -> Iterator[str]:
    said = instance.kubectl("apply", "-f", "-", stdin=GUEST)
    assert "Warning" not in said
    instance.wait_phase(NAME, "Running")
    yield NAME
    instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", stdin=GUEST)


def test_the_guest_finds_its_devices_by_their_tags(instance: Instance, guest: str) -> None:
    (text,) = look(instance, guest, f"{DRIVE}; cat /tmp/drive/openstack/latest/meta_data.json")
    devices = json.loads(text[text.index("{") : text.rindex("}") + 1])["devices"]
    nic = next(one for one in devices if one["tags"] == ["outside"])
    disk = next(one for one in devices if one["tags"] == ["scratch"])
    assert (nic["type"], nic["bus"], nic["mac"]) == ("nic", "pci", MAC)
    assert (disk["type"], disk["bus"], disk["serial"]) == ("disk", "pci", "spare")
    mac, serial = look(
        instance,
        guest,
        f"cat /sys/bus/pci/devices/{nic['address']}/virtio*/net/*/address",
        f"cat /sys/bus/pci/devices/{disk['address']}/virtio*/block/*/serial",
    )
    assert (mac.strip(), serial.strip()) == (MAC, "spare")
