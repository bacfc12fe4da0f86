"""Instancetypes decide, preferences fill in."""

from typing import Any

import msgspec
import pytest

from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.api.instancetype.expand import conflicts, expand

SPEC: dict[str, Any] = {
    "domain": {
        "devices": {
            "disks": [{"name": "a", "disk": {}}, {"name": "b", "disk": {"bus": "scsi"}}, {"name": "c", "cdrom": {}}],
            "interfaces": [{"name": "default", "masquerade": {}}],
        }
    }
}


def of_type(**changes: Any) -> VirtualMachineInstancetypeSpec:
    raw = {"cpu": {"guest": 4}, "memory": {"guest": "1Gi"}, **changes}
    return msgspec.convert(raw, VirtualMachineInstancetypeSpec)


def preferring(**changes: Any) -> VirtualMachinePreferenceSpec:
    return msgspec.convert(changes, VirtualMachinePreferenceSpec)


@pytest.mark.parametrize(
    ("topology", "options", "expected"),
    [
        (None, None, (1, 4, 1)),
        ("cores", None, (4, 1, 1)),
        ("preferThreads", None, (1, 1, 4)),
        ("spread", None, (2, 2, 1)),
        ("spread", {"ratio": 4}, (4, 1, 1)),
        ("spread", {"ratio": 3}, (1, 4, 1)),
        ("any", None, (1, 4, 1)),
    ],
)
def test_vcpus_are_arranged_as_preferred(
    topology: str | None, options: dict[str, Any] | None, expected: tuple[int, int, int]
) -> None:
    cpu = {"preferredCPUTopology": topology, "spreadOptions": options}
    preference = preferring(cpu={key: value for key, value in cpu.items() if value is not None})
    shape = expand(SPEC, of_type(), preference)["domain"]["cpu"]
    assert (shape["cores"], shape["sockets"], shape["threads"]) == expected


def test_memory_and_overcommit() -> None:
    domain = expand(SPEC, of_type(memory={"guest": "1Gi", "overcommitPercent": 25, "maxGuest": "2Gi"}), None)["domain"]
    assert domain["memory"] == {"guest": "1Gi", "maxGuest": "2Gi"}
    assert domain["resources"] == {"requests": {"memory": "768Mi"}}


def test_preferences_leave_alone_what_is_given() -> None:
    preference = preferring(
        devices={
            "preferredDiskBus": "sata",
            "preferredCdromBus": "usb",
            "preferredInterfaceModel": "e1000e",
            "preferredRng": {},
        },
        firmware={"preferredUseEfi": True},
        features={"preferredSmm": {}},
        preferredTerminationGracePeriodSeconds=5,
    )
    expanded = expand(SPEC, None, preference)
    devices = expanded["domain"]["devices"]
    assert [
        next(iter(disk[kind].values())) for disk, kind in zip(devices["disks"], ("disk", "disk", "cdrom"), strict=True)
    ] == [
        "sata",
        "scsi",
        "usb",
    ]
    assert devices["interfaces"][0]["model"] == "e1000e"
    assert devices["rng"] == {}
    assert expanded["domain"]["firmware"] == {"bootloader": {"efi": {"secureBoot": False}}}
    assert expanded["terminationGracePeriodSeconds"] == 5
    given = {**SPEC, "terminationGracePeriodSeconds": 0, "domain": {"firmware": {"bootloader": {"bios": {}}}}}
    kept = expand(given, None, preference)
    assert kept["terminationGracePeriodSeconds"] == 0
    assert kept["domain"]["firmware"] == {"bootloader": {"bios": {}}}


def test_the_given_specification_is_not_changed() -> None:
    before = msgspec.json.encode(SPEC)
    expand(SPEC, of_type(nodeSelector={"a": "b"}), preferring(devices={"preferredDiskBus": "sata"}))
    assert msgspec.json.encode(SPEC) == before


def test_what_the_type_decides_may_not_be_given() -> None:
    given = {
        "domain": {
            "cpu": {"cores": 2},
            "memory": {"guest": "64Mi"},
            "resources": {"limits": {"memory": "1Gi"}},
            "ioThreadsPolicy": "auto",
        }
    }
    assert conflicts(given, of_type(ioThreadsPolicy="shared")) == [
        "domain.cpu.cores",
        "domain.memory.guest",
        "domain.resources.limits.memory",
        "domain.ioThreadsPolicy",
    ]
    assert conflicts(SPEC, of_type()) == []
