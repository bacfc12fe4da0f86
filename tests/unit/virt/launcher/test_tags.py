"""What the guest's config drive tells of tagged devices."""

from typing import Any

import pytest

from kobune.virt.launcher.tags import device_metadata, tagged_drive
from support.vmis import vmi, vmi_document

DRIVE = {"name": "drive", "cloudInitConfigDrive": {"userData": "x"}}
DOMAIN = """<domain><devices>
<disk><serial>S1</serial><alias name="ua-root"/>
  <address type="pci" domain="0x0000" bus="0x04" slot="0x00" function="0x0"/></disk>
<disk><alias name="ua-data"/><address type="drive" controller="0" bus="0" target="1" unit="2"/></disk>
<disk><alias name="ua-plain"/><address type="pci" bus="0x09"/></disk>
<interface><mac address="02:00:00:00:00:01"/><alias name="ua-root"/>
  <address type="pci" domain="0x0000" bus="0x01" slot="0x1f" function="0x7"/></interface>
<interface><mac address="02:00:00:00:00:02"/><alias name="ua-nowhere"/></interface>
<hostdev><source><address bus="0x65"/></source><alias name="ua-gpu-root"/><address type="pci" bus="0x0a"/></hostdev>
<hostdev><alias name="ua-hostdevice-token"/><address type="usb" bus="0" port="3"/></hostdev>
<memballoon/>
</devices></domain>"""


def document(**devices: Any) -> dict[str, Any]:
    made = vmi_document(devices=devices)
    made["spec"]["volumes"].append(DRIVE)
    return made


TAGGED = document(
    disks=[{"name": "root", "tag": "boot"}, {"name": "data", "tag": "logs"}, {"name": "plain"}],
    interfaces=[{"name": "root", "tag": "outside"}, {"name": "nowhere", "tag": "lost"}],
    gpus=[{"name": "root", "deviceName": "a/b", "tag": "compute"}],
    hostDevices=[{"name": "token", "deviceName": "a/c", "tag": "key"}],
)


def test_every_tagged_device_is_told_with_its_place() -> None:
    assert device_metadata(vmi(TAGGED), DOMAIN) == [
        {"type": "disk", "bus": "pci", "address": "0000:04:00.0", "serial": "S1", "tags": ["boot"]},
        {"type": "disk", "bus": "drive", "address": "0:0:1:2", "tags": ["logs"]},
        {"type": "nic", "bus": "pci", "address": "0000:01:1f.7", "mac": "02:00:00:00:00:01", "tags": ["outside"]},
        {"type": "hostdev", "bus": "pci", "address": "0000:0a:00.0", "tags": ["compute"]},
        {"type": "hostdev", "bus": "usb", "address": "0.3", "tags": ["key"]},
    ]


@pytest.mark.parametrize(
    ("made", "drive"),
    [
        (TAGGED, "drive"),
        (document(disks=[{"name": "root"}]), ""),
        (vmi_document(devices={"disks": [{"name": "root", "tag": "boot"}]}), ""),
    ],
)
def test_only_a_drive_tells_of_tags(made: dict[str, Any], drive: str) -> None:
    assert tagged_drive(vmi(made)) == drive
