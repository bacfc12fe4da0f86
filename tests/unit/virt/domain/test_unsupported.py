"""What is not rendered is told with its field; what the demo needs is not in that list."""

from typing import Any

import pytest

from kobune.virt.domain.unsupported import Unsupported, unsupported, unsupported_spec
from support.vmis import vmi, vmi_document


def test_everything_in_a_plain_vmi_is_supported() -> None:
    assert unsupported(vmi()) == []


DISK = {"name": "root", "disk": {}}


@pytest.mark.parametrize(
    ("domain", "field"),
    [
        ({"devices": {"gpus": [{"name": "g"}]}}, "spec.domain.devices.gpus[0].deviceName"),
        (
            {"devices": {"hostDevices": [{"name": "d", "claimName": "c"}]}},
            "spec.domain.devices.hostDevices[0].claimName",
        ),
        (
            {"devices": {"disks": [DISK, {"name": "seed", "lun": {"reservation": True}}]}},
            "spec.domain.devices.disks[1].lun.reservation",
        ),
        (
            {"devices": {"disks": [{**DISK, "io": "native", "cache": "writeback"}]}},
            "spec.domain.devices.disks[0].io",
        ),
        (
            {"devices": {"interfaces": [{"name": "default", "passtBinding": {}}]}},
            "spec.domain.devices.interfaces[0].passtBinding",
        ),
        ({"launchSecurity": {"sev": {}}}, "spec.domain.launchSecurity"),
    ],
)
def test_what_is_not_rendered_is_named_by_its_path(domain: dict[str, Any], field: str) -> None:
    document = vmi_document(**{"devices": {"disks": [DISK]}, **domain})
    found = unsupported(vmi(document))
    assert [entry.field for entry in found] == [field]
    assert not found[0].harmless


def test_a_template_is_named_by_its_own_path() -> None:
    document = vmi_document()
    document["spec"]["volumes"].append({"name": "m", "containerPath": {"path": "/p"}})
    found = unsupported_spec(vmi(document).spec, "spec.template.spec")
    assert found == [
        Unsupported("spec.template.spec.volumes[2].containerPath", "this kind of volume is not supported yet")
    ]


def test_what_a_guest_can_do_without_is_harmless() -> None:
    document = vmi_document()
    document["spec"]["domain"]["devices"]["panicDevices"] = [{"model": "pvpanic"}]
    (found,) = unsupported(vmi(document))
    assert (found.field, found.harmless) == ("spec.domain.devices.panicDevices[0].model", True)


def test_tags_need_a_drive_that_tells_them() -> None:
    document = vmi_document(
        devices={"disks": [{**DISK, "tag": "boot"}], "interfaces": [{"name": "default", "tag": "a"}]}
    )
    found = unsupported(vmi(document))
    assert [(entry.field, entry.harmless) for entry in found] == [
        ("spec.domain.devices.disks[0].tag", True),
        ("spec.domain.devices.interfaces[0].tag", True),
    ]
    document["spec"]["volumes"].append({"name": "drive", "cloudInitConfigDrive": {"userData": "x"}})
    assert unsupported(vmi(document)) == []
