"""Rules of KubeVirt's admission, one by one: what is asked for, and which fields are told."""

import copy
from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.api.pool import VirtualMachinePool
from kobune.virt.admission.review import Reason
from kobune.virt.admission.validation.groups import check_pool
from kobune.virt.admission.validation.instance import check_instance
from kobune.virt.admission.validation.machine import check_busy, check_machine
from support.vms import machine_dict, spec

I, R, D = Reason.INVALID, Reason.REQUIRED, Reason.DUPLICATE  # noqa: E741
NS, NF = Reason.NOT_SUPPORTED, Reason.NOT_FOUND
DISK = "spec.domain.devices.disks"


def told(changes: dict[str, Any], *gates: str, **metadata: Any) -> list[tuple[str, str]]:
    """Fields and reasons; `changes` by dotted path, where a number is an index."""
    obj: dict[str, Any] = {"metadata": {"name": "a", **metadata}, "spec": copy.deepcopy(spec())}
    for path, value in changes.items():
        target: Any = obj["spec"]
        *parents, last = path.split(".")
        for name in parents:
            target = target[int(name)] if name.isdigit() else target.setdefault(name, {})
        if last.isdigit():
            target[int(last)] = value
        else:
            target[last] = value
    problems, _ = check_instance(msgspec.convert(obj, VirtualMachineInstance), frozenset(gates), by_component=False)
    return [(problem.field, problem.reason) for problem in problems]


def disk(**fields: Any) -> dict[str, Any]:
    return {"domain.devices.disks.0": {"name": "root", **fields}}


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes.0": {"name": "root", **source}}


def key(**propagation: Any) -> dict[str, Any]:
    return {"source": {"secret": {"secretName": "s"}}, "propagationMethod": propagation}


EFI: dict[str, Any] = {"bootloader": {"efi": {}}}
PLAIN_EFI = {"bootloader": {"efi": {"secureBoot": False}}}
TWO_RAM_FBS = [{"name": n, "deviceName": "d", "virtualGPUOptions": {"display": {}}} for n in "ab"]
LABEL_TERM = {"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}, "topologyKey": "k"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # disks
        (disk(disk={"bus": "sata"}, dedicatedIOThread=True), [(f"{DISK}.domain.devices.disks[0]", NS)]),
        (disk(disk={"bus": "virtio"}, io="fast"), [(f"{DISK}.domain.devices.disks[0].io", NS)]),
        (disk(disk={"bus": "virtio"}, serial="s" * 257), [(f"{DISK}[0].serial", I)]),
        (
            disk(disk={"bus": "virtio"}, blockSize={"custom": {"logical": 1024, "physical": 512}}),
            [(f"{DISK}[0].blockSize.custom.logical", I)],
        ),
        (disk(disk={"bus": "ide"}, cdrom={}), [(f"{DISK}[0]", I), (f"{DISK}[0].disk.bus", I)]),
        (disk(disk={"bus": "virtio"}, io="default"), [(f"{DISK}.domain.devices.disks[0].io", NS)]),
        (disk(disk={"pciAddress": "0000:03:01.0"}), [(f"{DISK}.domain.devices.disks.disk[0].pciAddress", I)]),
        (
            disk(disk={"bus": "sata"}, blockSize={"custom": {"logical": 4096, "physical": 4096}}),
            [(f"{DISK}[0].blockSize.custom.logical", I)],
        ),
        (
            disk(
                disk={"bus": "virtio"},
                blockSize={"custom": {"logical": 512, "physical": 512, "discardGranularity": 700}},
            ),
            [(f"{DISK}[0].blockSize.custom.discardGranularity", I)],
        ),
        (
            disk(
                disk={"bus": "virtio"},
                blockSize={"custom": {"logical": 512, "physical": 512, "discardGranularity": 1024}},
            ),
            [],
        ),
        # volumes
        (volume(cloudInitNoCloud={"secretRef": {}}), [("spec.volumes[0].cloudInitNoCloud", I)]),
        (volume(cloudInitNoCloud={"secretRef": {"name": "s"}}), []),
        (
            volume(hostDisk={"path": "", "type": "Disk"}),
            [("spec.volumes[0]", I), ("spec.volumes[0].hostDisk.path", NF)],
        ),
        (
            volume(hostDisk={"path": "/x", "type": "File"}),
            [("spec.volumes[0]", I), ("spec.volumes[0].hostDisk.type", I)],
        ),
        (
            volume(hostDisk={"path": "/x", "type": "Disk", "capacity": "1Gi"}),
            [("spec.volumes[0]", I), ("spec.volumes[0].hostDisk.capacity", I)],
        ),
        (volume(containerDisk={"image": "i", "path": "disk.img"}), [("spec.volumes[0].containerDisk", I)]),
        (volume(containerDisk={"image": "i", "path": "/a//b"}), [("spec.volumes[0].containerDisk", I)]),
        (volume(containerDisk={"image": "i", "path": "/a/../b"}), [("spec.volumes[0].containerDisk", I)]),
        (
            volume(configMap={}, secret={"secretName": "s"}),
            [("spec.volumes[0]", I), ("spec.volumes[0].configMap.name", I)],
        ),
        # firmware
        ({"domain.firmware": EFI}, [("spec.domain", I)]),
        ({"domain.firmware": EFI, "domain.features": {"smm": {"enabled": False}}}, [("spec.domain", I)]),
        ({"domain.firmware": {"serial": "with blank"}}, [("spec.domain.firmware.serial", I)]),
        ({"domain.firmware": {"serial": "s" * 257}}, [("spec.domain.firmware.serial", I)]),
        ({"domain.firmware": {"acpi": {}}}, [("spec.acpi", I)]),
        ({"domain.firmware": {"acpi": {"slicNameRef": "none"}}}, [("spec.acpi.slicNameRef", I)]),
        ({"domain.firmware": {"acpi": {"msdmNameRef": "root"}}}, [("spec.acpi.msdmNameRef", I)]),
        (
            {"domain.firmware": {"kernelBoot": {"container": {"image": "i", "kernelPath": "vmlinuz"}}}},
            [("spec.domain.firmware.kernelBoot.container.kernelPath", I)],
        ),
        (
            {"domain.firmware": {"kernelBoot": {"container": {"image": "i", "initrdPath": "/"}}}},
            [("spec.domain.firmware.kernelBoot.container.initrdPath", I)],
        ),
        # encrypted memory
        (
            {
                "domain.launchSecurity": {"sev": {}},
                "domain.firmware": EFI,
                "domain.features": {"smm": {"enabled": True}},
            },
            [("spec.launchSecurity", I)],
        ),
        (
            {"domain.launchSecurity": {"sev": {"attestation": {}}}, "domain.firmware": PLAIN_EFI},
            [("spec.launchSecurity", I)],
        ),
        (
            {"domain.launchSecurity": {"sev": {}, "tdx": {}}, "domain.firmware": PLAIN_EFI},
            [("spec.launchSecurity", Reason.FORBIDDEN)],
        ),
        # CPUs
        (
            {
                "domain.cpu": {"dedicatedCpuPlacement": True, "cores": 4},
                "domain.resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}},
            },
            [("spec.domain.cpu.dedicatedCpuPlacement", I)],
        ),
        (
            {
                "domain.cpu": {"dedicatedCpuPlacement": True, "cores": 1, "sockets": 2},
                "domain.resources": {"limits": {"cpu": "2"}},
            },
            [],
        ),
        # names, DNS, probes
        ({"dnsConfig": {"nameservers": ["one"]}}, [("nameservers", I)]),
        ({"dnsConfig": {"searches": list("abcdefg")}}, [("searchDomains", I)]),
        ({"dnsConfig": {"searches": ["a" * 63] * 5}}, [("searchDomains", I)]),
        ({"dnsConfig": {"searches": ["example.com."]}}, [("searchDomains", I)]),
        ({"dnsPolicy": "None", "dnsConfig": {"searches": ["-"]}}, [("nameservers", R)]),
        ({"dnsConfig": {"options": [{"value": "x"}]}}, [("options", I)]),
        (
            {
                "networks": [],
                "domain.devices.interfaces": [],
                "domain.devices.autoattachPodInterface": False,
                "livenessProbe": {"tcpSocket": {"port": 1}, "httpGet": {"port": 1}},
            },
            [("spec.livenessProbe", I), ("spec.livenessProbe.tcpSocket", I), ("spec.livenessProbe.httpGet", I)],
        ),
        # devices
        ({"domain.devices.gpus": TWO_RAM_FBS}, [("spec.GPUs", I)]),
        ({"domain.devices.panicDevices": [{"model": "loud"}]}, [("spec.domain.devices.panicDevices[0].model", I)]),
        ({"domain.devices.watchdog": {"name": "w"}}, [("spec.domain.devices.watchdog", NS)]),
        ({"domain.devices.video": {"type": "qxl"}}, [("spec.domain.devices.video.type", NS)]),
        # credentials
        (
            {"accessCredentials": [{"sshPublicKey": key(noCloud={}, configDrive={})}]},
            [
                ("spec.accessCredentials[0].sshPublicKey.propagationMethod", I),
                ("spec.accessCredentials[0].sshPublicKey.propagationMethod", I),
                ("spec.accessCredentials[0].sshPublicKey.propagationMethod", I),
            ],
        ),
        (
            {"accessCredentials": [{"userPassword": {"source": {}, "propagationMethod": {}}}]},
            [
                ("spec.accessCredentials[0].userPassword.source", I),
                ("spec.accessCredentials[0].userPassword.propagationMethod", I),
            ],
        ),
        # networks
        (
            {"domain.devices.interfaces": [{"name": "default", "sriov": {}}]},
            [("spec.domain.devices.interfaces[0].name", I)],
        ),
        (
            {"domain.devices.interfaces.0.ports": [{"port": 80, "name": "not_a_port"}]},
            [("spec.domain.devices.interfaces[0].ports[0].name", I)],
        ),
        (
            {
                "networks": [{"name": "default", "pod": {}}, {"name": "b", "pod": {}}],
                "domain.devices.interfaces": [{"name": "default", "masquerade": {}}, {"name": "b", "masquerade": {}}],
            },
            [("spec.interfaces", D)],
        ),
        # placement
        (
            {
                "affinity": {
                    "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
                }
            },
            [("spec.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", I)],
        ),
        (
            {
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 101, "podAffinityTerm": LABEL_TERM}
                        ]
                    }
                }
            },
            [
                ("spec.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight", I),
                (
                    "spec.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm."
                    "labelSelector.matchExpressions[0].values",
                    I,
                ),
            ],
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "DoNotSchedule"}]},
            [
                ("spec.topologySpreadConstraints[0].maxSkew", I),
                ("spec.topologySpreadConstraints[0].topologyKey", I),
            ],
        ),
        # enlightenments, and devices that have a gate
        (
            {"domain.features": {"hyperv": {"synic": {}, "vpindex": {"enabled": False}}}},
            [("spec.domain.features.hyperv.synic", I)],
        ),
        ({"domain.features": {"hyperv": {"synic": {"enabled": False}, "vpindex": {"enabled": False}}}}, []),
        ({"domain.devices.downwardMetrics": {}}, [("spec.domain.devices.downwardMetrics", I)]),
        # memory
        ({"domain.memory": {"guest": "64Mi", "maxGuest": "256Mi"}}, []),
        ({"domain.memory": {"guest": "64Mi", "maxGuest": "32Mi"}}, [("spec.domain.memory.guest", I)]),
        ({"domain.memory": {}}, [("", R)]),
        ({"domain.memory": {}, "domain.resources": {"requests": {"memory": "64Mi"}}}, []),
    ],
)
def test_what_is_wrong_is_told_by_its_field(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(changes) == expected


def test_annotations_of_sidecars_need_their_gate() -> None:
    annotations = {"hooks.kubevirt.io/hookSidecars": "[]"}
    assert told({}, annotations=annotations) == [("metadata.annotations", I)]
    assert told({}, "Sidecar", annotations=annotations) == []


def _pool(**more: Any) -> VirtualMachinePool:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": machine_dict()["spec"]}
    selector = more.pop("selector", {"matchLabels": {"app": "x"}})
    return msgspec.convert(
        {"spec": {"selector": selector, "virtualMachineTemplate": template, **more}}, VirtualMachinePool
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, ""),
        ("50%", ""),
        (0, "must be greater than 0"),
        ("2", "must end with %"),
        ("0%", "value 0 must be between 1 and 100"),
        ("101%", "value 101 must be between 1 and 100"),
        ("x%", 'percentage value "x" is invalid'),
    ],
)
def test_how_many_of_a_pool_may_be_away(value: int | str, words: str) -> None:
    problems, _ = check_pool(_pool(maxUnavailable=value), frozenset())
    assert [(problem.field, words in problem.message) for problem in problems] == (
        [("spec.maxUnavailable", True)] if words else []
    )


def test_a_pool_selects_the_same_machines_for_ever() -> None:
    before = _pool(selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
    (problem,) = check_pool(_pool(), frozenset(), before)[0]
    assert (problem.field, problem.message) == ("spec.selector", "selector is immutable after creation.")


LIVE = {"memory": {"guest": "1Gi", "maxGuest": "2Gi"}}


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ({}, ""),
        ({"memory": {"guest": "1Gi", "maxGuest": "512Mi"}}, "greater than the configured maxGuest"),
        ({"memory": {"maxGuest": "2Gi"}}, "Guest memory must be configured"),
        ({"memory": {"guest": "1025Mi", "maxGuest": "2Gi"}}, "Guest memory must be 2Mi aligned"),
        ({"memory": {"guest": "1Gi", "maxGuest": "2049Mi"}}, "MaxGuest must be 2Mi aligned"),
        ({"memory": {"guest": "512Mi", "maxGuest": "2Gi"}}, "at least 1Gi"),
        (
            {"memory": {"guest": "1Gi", "maxGuest": "3Gi", "hugepages": {"pageSize": "1Gi"}}},
            "",
        ),
        (
            {"memory": {"guest": "1Gi", "maxGuest": "2050Mi", "hugepages": {"pageSize": "1Gi"}}},
            "MaxGuest must be 1Gi aligned",
        ),
    ],
)
def test_memory_of_a_machine_that_shall_grow_has_its_rules(domain: dict[str, Any], words: str) -> None:
    vm = machine_dict()
    vm["spec"]["template"]["spec"]["domain"] |= LIVE | domain
    problems, _ = check_machine(msgspec.convert(vm, VirtualMachine), None, version="v1", gates=frozenset())
    assert [(problem.field, words in problem.message) for problem in problems] == (
        [("spec.template.spec.domain.memory.guest", True)] if words else []
    )


def test_run_strategies_are_told_all_at_once() -> None:
    vm = machine_dict(strategy="Never")
    vm["spec"]["running"] = True
    problems, _ = check_machine(msgspec.convert(vm, VirtualMachine), None, version="v1", gates=frozenset())
    assert [problem.field for problem in problems] == ["spec.running", "spec.runStrategy"]


@pytest.mark.parametrize(
    ("status", "changes", "words"),
    [
        ({}, {"runStrategy": "Always"}, ""),
        ({"restoreInProgress": "r"}, {"runStrategy": "Always"}, 'until restore "r" completes'),
        ({"restoreInProgress": "r"}, {"updateVolumesStrategy": "Replacement"}, ""),
        ({"snapshotInProgress": "s"}, {"runStrategy": "Always"}, 'running state until snapshot "s" completes'),
        ({"snapshotInProgress": "s"}, {"running": False, "runStrategy": None}, "running state"),
        ({"snapshotInProgress": "s"}, {"volumes": []}, 'disks or volumes until snapshot "s" completes'),
        ({"snapshotInProgress": "s"}, {"updateVolumesStrategy": "Replacement"}, ""),
    ],
)
def test_a_machine_that_is_copied_or_brought_back_stays_as_it_is(
    status: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    old, new = machine_dict(strategy="Halted", status=status), machine_dict(strategy="Halted", status=status)
    if "volumes" in changes:
        new["spec"]["template"]["spec"] |= changes
    else:
        new["spec"] |= changes
    problems = check_busy(*(msgspec.convert(item, VirtualMachine) for item in (new, old)))
    assert [(item.field, item.reason, words in item.message) for item in problems] == (
        [("spec", NS, True)] if words else []
    )


TEMPLATE = "spec.dataVolumeTemplate[0]"


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("root", {"storage": {}, "source": {"blank": {}}}, []),
        ("root", {"pvc": {}, "sourceRef": {"kind": "DataSource", "name": "d"}}, []),
        ("root", {"pvc": {"dataSource": {"kind": "PersistentVolumeClaim", "name": "c"}}}, []),
        ("root", {"storage": {}, "source": {"blank": {}}, "sourceRef": {"kind": "DataSource", "name": "d"}}, []),
        ("", {}, [(f"{TEMPLATE}.name", Reason.REQUIRED)]),
        ("root", {"source": {"blank": {}}}, [(f"{TEMPLATE}.PVC.Storage", I)]),
        ("root", {"source": {"blank": {}}, "pvc": {}, "storage": {}}, [(f"{TEMPLATE}.PVC.Storage", I)]),
        (
            "root",
            {"source": {"blank": {}}, "storage": {"dataSourceRef": {"kind": "VolumeImport", "name": "v"}}},
            [(f"{TEMPLATE}.source", I)],
        ),
        ("root", {"storage": {}}, [(f"{TEMPLATE}.source.sourceRef", I)]),
        ("root", {"storage": {}, "source": {}}, [(f"{TEMPLATE}.source", I)]),
        ("root", {"storage": {}, "source": {"blank": {}, "upload": {}}}, [(f"{TEMPLATE}.source", I)]),
        ("other", {"storage": {}, "source": {"blank": {}}}, [(TEMPLATE, Reason.REQUIRED)]),
    ],
)
def test_data_volume_templates(name: str, spec: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    obj = machine_dict()
    obj["spec"]["template"]["spec"]["volumes"] = [{"name": "root", "dataVolume": {"name": "root"}}]
    obj["spec"]["dataVolumeTemplates"] = [{"metadata": {"name": name}, "spec": spec}]
    problems, _ = check_machine(msgspec.convert(obj, VirtualMachine), None, version="v1", gates=frozenset())
    assert [(problem.field, problem.reason) for problem in problems] == expected
