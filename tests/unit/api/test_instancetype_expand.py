"""Instancetypes decide, preferences fill in."""

from typing import Any

import msgspec
import pytest

from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.api.instancetype.conflicts import conflicts
from kobune.api.instancetype.expand import expand
from kobune.api.instancetype.requirements import shortage
from kobune.api.instancetype.topology import spread_problem

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
        ("spread", {"across": "CoresThreads"}, (2, 1, 2)),
        ("preferSpread", {"across": "SocketsCoresThreads", "ratio": 2}, (2, 1, 2)),
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
    assert expanded["domain"]["firmware"] == {"bootloader": {"efi": {}}}
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
    given: dict[str, Any] = {
        "nodeSelector": {"a": "b"},
        "schedulerName": "mine",
        "domain": {
            "cpu": {"cores": 2, "model": "Nehalem", "dedicatedCpuPlacement": True},
            "memory": {"guest": "64Mi"},
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            "ioThreadsPolicy": "auto",
        },
    }
    decided = of_type(ioThreadsPolicy="shared", nodeSelector={"c": "d"}, annotations={"k": "v"})
    assert conflicts(given, decided, {"k": "other"}) == [
        "nodeSelector",
        "domain.resources.requests.cpu",
        "domain.cpu.cores",
        "domain.memory.guest",
        "domain.ioThreadsPolicy",
        "/annotations.k",
    ], "of memory one field is told, and what the type leaves open is nobody's conflict"
    assert conflicts(given, of_type(cpu={"guest": 4, "model": "Penryn", "dedicatedCPUPlacement": False})) == [
        "domain.resources.requests.cpu",
        "domain.cpu.cores",
        "domain.cpu.model",
        "domain.cpu.dedicatedCPUPlacement",
        "domain.memory.guest",
    ]
    assert conflicts(SPEC, of_type(), {"k": "v"}) == []


@pytest.mark.parametrize(
    ("count", "options", "uneven"),
    [
        (4, {}, False),
        (3, {}, True),
        (3, {"ratio": 3}, False),
        (3, {"across": "CoresThreads"}, True),
        (4, {"across": "SocketsCoresThreads"}, False),
        (6, {"across": "SocketsCoresThreads"}, True),
    ],
)
def test_vcpus_that_cannot_be_spread_are_told(count: int, options: dict[str, Any], uneven: bool) -> None:
    spread = preferring(cpu={"preferredCPUTopology": "spread", "spreadOptions": options})
    assert bool(spread_problem(of_type(cpu={"guest": count}), spread)) is uneven
    assert spread_problem(of_type(cpu={"guest": count}), preferring(cpu={"preferredCPUTopology": "cores"})) == ""


def test_every_preference_of_a_device_fills_in_what_is_open() -> None:
    spec: dict[str, Any] = {
        "domain": {
            "devices": {
                "disks": [{"name": "root"}, {"name": "io", "disk": {"bus": "sata"}}, {"name": "l", "lun": {}}],
                "interfaces": [{"name": "pod"}, {"name": "other", "bridge": {}}],
                "inputs": [{"name": "t"}],
                "sound": {"name": "s"},
                "gpus": [{"name": "g", "deviceName": "d"}],
            },
            "features": {"hyperv": {"relaxed": {"enabled": False}}},
            "cpu": {"features": [{"name": "avx", "policy": "disable"}]},
        },
        "networks": [{"name": "pod", "pod": {}}, {"name": "other", "multus": {"networkName": "n"}}],
        "volumes": [{"name": name} for name in ("root", "io", "l", "unused")],
    }
    preference = preferring(
        devices={
            "preferredAutoattachInputDevice": True,
            "preferredDiskBus": "virtio",
            "preferredLunBus": "scsi",
            "preferredDiskCache": "none",
            "preferredDiskIO": "native",
            "preferredDiskDedicatedIoThread": True,
            "preferredInterfaceMasquerade": {},
            "preferredInterfaceModel": "virtio",
            "preferredInputBus": "usb",
            "preferredInputType": "tablet",
            "preferredSoundModel": "ich9",
            "preferredVideoType": "virtio",
            "preferredPanicDeviceModel": "pvpanic",
            "preferredVirtualGPUOptions": {"display": {"enabled": False}},
            "preferredTPM": {},
        },
        features={"preferredHyperv": {"relaxed": {}, "vapic": {}}, "preferredAcpi": {"enabled": False}},
        cpu={"preferredCPUFeatures": [{"name": "avx"}, {"name": "aes"}]},
        clock={"preferredTimer": {"hpet": {"present": False}}, "preferredClockOffset": {"timezone": "Asia/Tokyo"}},
        machine={"preferredMachineType": "pc-q35-7.2"},
        preferredSubdomain="s",
        preferredArchitecture="arm64",
    )
    spec = expand(spec, None, preference)
    domain = spec["domain"]
    devices = domain["devices"]
    assert devices["disks"] == [
        {"name": "root", "disk": {"bus": "virtio"}, "cache": "none", "io": "native", "dedicatedIOThread": True},
        {"name": "io", "disk": {"bus": "sata"}, "cache": "none", "io": "native"},
        {"name": "l", "lun": {"bus": "scsi"}},
        {"name": "unused", "disk": {"bus": "virtio"}, "cache": "none", "io": "native", "dedicatedIOThread": True},
    ]
    assert devices["interfaces"] == [
        {"name": "pod", "model": "virtio", "masquerade": {}},
        {"name": "other", "bridge": {}, "model": "virtio"},
    ]
    assert devices["inputs"] == [{"name": "t", "bus": "usb", "type": "tablet"}]
    assert devices["sound"]["model"] == "ich9"
    assert devices["video"] == {"type": "virtio"}
    assert devices["panicDevices"] == [{"model": "pvpanic"}]
    assert devices["gpus"][0]["virtualGPUOptions"] == {"display": {"enabled": False}}
    assert (devices["tpm"], devices["autoattachInputDevice"]) == ({}, True)
    assert domain["features"] == {
        "hyperv": {"relaxed": {"enabled": False}, "vapic": {}},
        "acpi": {"enabled": False},
    }
    assert domain["cpu"]["features"] == [{"name": "avx", "policy": "disable"}, {"name": "aes"}]
    assert domain["clock"] == {"timezone": "Asia/Tokyo", "timer": {"hpet": {"present": False}}}
    assert domain["machine"] == {"type": "pc-q35-7.2"}
    assert (spec["subdomain"], spec["architecture"]) == ("s", "arm64")


def test_a_network_is_made_as_preferred_where_there_is_none() -> None:
    preference = preferring(devices={"preferredInterfaceMasquerade": {}, "preferredInterfaceModel": "e1000e"})
    made = expand({"domain": {"devices": {}}}, None, preference)
    assert made["networks"] == [{"name": "default", "pod": {}}]
    assert made["domain"]["devices"]["interfaces"] == [{"name": "default", "model": "e1000e", "masquerade": {}}]
    refused = expand({"domain": {"devices": {"autoattachPodInterface": False}}}, None, preference)
    assert "networks" not in refused


NEEDS_FOUR: dict[str, Any] = {"requirements": {"cpu": {"guest": 4}}}


@pytest.mark.parametrize(
    ("topology", "cpu", "fields"),
    [
        ("sockets", {"sockets": 4}, None),
        ("sockets", {"cores": 4}, ["sockets"]),
        ("cores", {"cores": 2, "sockets": 2}, ["cores"]),
        ("any", {"cores": 2, "sockets": 2}, None),
        ("any", {"cores": 3}, ["cores", "sockets", "threads"]),
        ("spread", {"cores": 2, "sockets": 2}, None),
        ("spread", {"cores": 2, "threads": 2}, ["sockets", "cores"]),
    ],
)
def test_a_machine_must_have_the_cpus_that_its_preference_requires(
    topology: str, cpu: dict[str, int], fields: list[str] | None
) -> None:
    preference = preferring(cpu={"preferredCPUTopology": topology}, **NEEDS_FOUR)
    found = shortage({"domain": {"cpu": cpu}}, None, preference)
    expected = tuple(f"spec.template.spec.domain.cpu.{name}" for name in fields) if fields is not None else None
    assert (found.fields if found is not None else None) == expected


def test_requirements_of_instancetypes_memory_and_architecture() -> None:
    spec: dict[str, Any] = {"architecture": "amd64", "domain": {"memory": {"guest": "512Mi"}}}
    four = preferring(**NEEDS_FOUR)
    assert shortage(spec, of_type(), four) is None
    small = shortage(spec, of_type(cpu={"guest": 2}), four)
    assert small is not None
    assert small.fields == ("spec.instancetype",)
    assert small.message == (
        "insufficient CPU resources of 2 vCPU provided by instance type, preference requires 4 vCPU"
    )
    memory = preferring(requirements={"memory": {"guest": "1Gi"}})
    short = shortage(spec, None, memory)
    assert short is not None
    assert short.fields == ("spec.template.spec.domain.memory",)
    assert shortage(spec, of_type(), memory) is None
    other = shortage(spec, None, preferring(requirements={"architecture": "arm64"}))
    assert other is not None
    assert other.fields == ("spec.template.spec.architecture",)
