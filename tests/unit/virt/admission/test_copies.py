"""Snapshots, restores, clones, exports, presets and the installation: what is asked for, and which fields are told."""

from typing import Any

import msgspec
import pytest

from kobune.api.clone import VirtualMachineClone
from kobune.api.export import VirtualMachineExport
from kobune.api.kubevirt import KubeVirt, VirtualMachineInstancePreset
from kobune.api.snapshot import VirtualMachineRestore, VirtualMachineSnapshot
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.copies import (
    check_clone,
    check_export,
    check_restore,
    check_restore_patches,
    check_snapshot,
    in_progress,
)
from kobune.virt.admission.validation.groups import check_preset
from kobune.virt.admission.validation.installation import check_installation, installation_warnings

I, R = Reason.INVALID, Reason.REQUIRED  # noqa: E741
NS, NF = Reason.NOT_SUPPORTED, Reason.NOT_FOUND
VM = {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "a"}


def told(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.field, problem.reason) for problem in problems]


def restore(name: str = "r", *, complete: bool = False, **spec: Any) -> VirtualMachineRestore:
    base = {"target": VM, "virtualMachineSnapshotName": "s"}
    obj = {"metadata": {"name": name}, "spec": {**base, **spec}, "status": {"complete": complete}}
    return msgspec.convert(obj, VirtualMachineRestore)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (VM, []),
        ({"kind": "VirtualMachine", "name": "a"}, [("spec.source.apiGroup", NF)]),
        ({**VM, "apiGroup": "apps"}, [("spec.source.apiGroup", I)]),
        ({**VM, "kind": "Pod"}, [("spec.source.kind", I)]),
    ],
)
def test_only_machines_are_kept(source: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(check_snapshot(msgspec.convert({"spec": {"source": source}}, VirtualMachineSnapshot))) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"target": {"kind": "VirtualMachine", "name": "a"}}, [("spec.target.apiGroup", NF)]),
        ({"volumeRestorePolicy": "InPlace", "volumeOwnershipPolicy": "None"}, []),
        ({"volumeRestorePolicy": "Elsewhere"}, [("spec.volumeRestorePolicy", I)]),
        ({"volumeOwnershipPolicy": "Nobody"}, [("spec.volumeOwnershipPolicy", I)]),
        ({"targetReadinessPolicy": "StopTarget"}, []),
        ({"targetReadinessPolicy": "Hope"}, [("spec.targetReadinessPolicy", I)]),
        (
            {"volumeRestoreOverrides": [{"volumeName": ""}]},
            [("spec.volumeRestoreOverrides[0].volumeName", R), ("spec.volumeRestoreOverrides[0]", R)],
        ),
        ({"volumeRestoreOverrides": [{"volumeName": "v", "restoreName": "w"}]}, []),
    ],
)
def test_restores_ask_for_what_there_is(spec: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(check_restore(restore(**spec))) == expected


@pytest.mark.parametrize(
    ("patch", "is_fine"),
    [
        ('{"op": "replace", "path": "/spec/runStrategy", "value": "Halted"}', True),
        ('[{"op": "add", "path": "/metadata/labels/a", "value": "b:c"}]', True),
        ('{"op": "add", "path": "/metadata/annotations/a", "value": "b"}', True),
        ('{"op": "replace", "path": "/metadata/name", "value": "b"}', False),
        ('{"op": "remove", "path": "/spec"}', False),
        ("{}", False),
        ("no json", False),
    ],
)
def test_patches_of_a_restored_machine_touch_its_specification_only(patch: str, is_fine: bool) -> None:
    assert told(check_restore_patches(restore(patches=[patch]))) == ([] if is_fine else [("spec.patches", I)])


def test_a_machine_is_brought_back_by_one_restore_at_a_time() -> None:
    others = [
        restore("old", complete=True),
        restore("going"),
        restore("r"),
        restore("other", target={**VM, "name": "b"}),
    ]
    failed = msgspec.to_builtins(restore("failed"))
    failed["status"]["conditions"] = [{"type": "Failure", "status": "True"}]
    others.append(msgspec.convert(failed, VirtualMachineRestore))
    (problem,) = in_progress(restore(), others)
    assert (problem.field, problem.message) == ("spec.target", 'VirtualMachineRestore "going" in progress')


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"source": {"kind": "VirtualMachine", "name": "a"}}, [("spec.Source.APIGroup", I)]),
        ({"target": {**VM, "kind": "Pod", "name": "b"}}, [("spec.Target.Kind", I)]),
        ({"target": VM}, [("spec.target.name", I)]),
        ({"labelFilters": ["a*b", "a!b", "*", ""]}, [("spec.labels", I)] * 2),
        ({"template": {"labelFilters": ["!"]}}, [("spec.template.labels", I)]),
        ({"newMacAddresses": {"default": "02:00:5e:10:00:01", "x": "02"}}, [("spec.newMacAddresses.x", I)]),
        ({"patches": ['{"op": "remove", "path": "/spec/x"}', "{"]}, [("spec.patches[1]", I)]),
        ({"volumeNamePolicy": "RandomizeNames"}, []),
        ({"volumeNamePolicy": "SameNames"}, [("spec.volumeNamePolicy", NS)]),
    ],
)
def test_clones_are_of_machines_and_differ_as_told(spec: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    clone = msgspec.convert({"spec": {"source": VM, **spec}}, VirtualMachineClone)
    assert told(check_clone(clone)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (VM, []),
        ({"kind": "PersistentVolumeClaim", "name": "c"}, []),
        ({"apiGroup": "snapshot.kubevirt.io", "kind": "VirtualMachineSnapshot", "name": "s"}, []),
        ({"kind": "VirtualMachine", "name": "a"}, [("spec.source.APIGroup", I)]),
        (
            {"apiGroup": "v1", "kind": "PersistentVolumeClaim", "name": ""},
            [("spec.source.name", I), ("spec.source.APIGroup", I)],
        ),
        ({**VM, "kind": "VirtualMachineSnapshot"}, [("spec.source.APIGroup", I)]),
        ({**VM, "kind": "Pod"}, [("spec.source.kind", I)]),
    ],
)
def test_exports_name_their_source_fully(source: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(check_export(msgspec.convert({"spec": {"source": source}}, VirtualMachineExport))) == expected


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (None, [("spec.domain", R)]),
        ({"devices": {}}, []),
        (
            {"devices": {"disks": [{"name": "d", "disk": {"bus": "ide"}}]}},
            [("spec.domain.devices.disks[0].disk.bus", I)],
        ),
        (
            {"devices": {}, "firmware": {"bootloader": {"efi": {}, "bios": {}}}},
            [("spec.domain.firmware.bootloader", I)],
        ),
    ],
)
def test_presets_set_something_right(domain: dict[str, Any] | None, expected: list[tuple[str, str]]) -> None:
    spec: dict[str, Any] = {"selector": {}} | ({"domain": domain} if domain is not None else {})
    assert told(check_preset(msgspec.convert({"spec": spec}, VirtualMachineInstancePreset))) == expected


PROFILE = "spec.configuration.seccompConfiguration.virtualMachineInstanceProfile.customProfile"


def seccomp(**profile: Any) -> dict[str, Any]:
    return {"configuration": {"seccompConfiguration": {"virtualMachineInstanceProfile": profile}}}


def certificates(**wanted: Any) -> dict[str, Any]:
    return {"certificateRotateStrategy": {"selfSigned": wanted}}


def tls(version: str, *ciphers: str) -> dict[str, Any]:
    return {"configuration": {"tlsConfiguration": {"minTLSVersion": version, "ciphers": list(ciphers)}}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"infra": {"replicas": 0}}, [("", I)]),
        (
            {
                "customizeComponents": {
                    "patches": [{"patch": "{", "resourceName": "a", "resourceType": "b", "type": "json"}]
                }
            },
            [("", NS)],
        ),
        (tls("VersionTLS13", "TLS_AES_128_GCM_SHA256"), [("spec.configuration.tlsConfiguration.ciphers", NS)]),
        (tls("VersionTLS12", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), []),
        (
            tls("VersionTLS12", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ROT13"),
            [("spec.configuration.tlsConfiguration.ciphers#1", NS)],
        ),
        (certificates(ca={"duration": "48h", "renewBefore": "12h"}, server={"duration": "24h"}), []),
        (certificates(ca={"duration": "1h", "renewBefore": "2h"}, server={"duration": "1h"}), [("", I)]),
        (certificates(server={"duration": "1h", "renewBefore": "2h"}), [("", I)]),
        (certificates(ca={"duration": "1h"}), [("", I)]),
        (certificates(ca={"duration": "48h"}, caRotateInterval="48h"), [("", NS)]),
        (certificates(ca={"duration": "soon"}), [("spec.certificateRotateStrategy.selfSigned", I)]),
        ({"configuration": {"additionalGuestMemoryOverheadRatio": "1.5"}}, []),
        ({"configuration": {"additionalGuestMemoryOverheadRatio": "0.5"}}, [("", NS)]),
        ({"configuration": {"additionalGuestMemoryOverheadRatio": "much"}}, [("", NS)]),
        (seccomp(), [(PROFILE, I)]),
        (seccomp(customProfile={"localhostProfile": "a"}), []),
        (
            seccomp(customProfile={"localhostProfile": "a", "runtimeDefaultProfile": True}),
            [(f"{PROFILE}.localhostProfile", I), (f"{PROFILE}.runtimeDefaultProfile", I)],
        ),
    ],
)
def test_the_installation_is_asked_for_what_can_be(spec: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(check_installation(msgspec.convert({"spec": spec}, KubeVirt))) == expected


def test_old_names_of_mediated_devices_are_pointed_out() -> None:
    devices = {
        "mediatedDevicesTypes": ["a"],
        "nodeMediatedDeviceTypes": [{"nodeSelector": {}, "mediatedDevicesTypes": ["b"]}],
    }
    spec = {"configuration": {"mediatedDevicesConfiguration": devices}}
    base = "spec.configuration.mediatedDevicesConfiguration"
    assert installation_warnings(msgspec.convert({"spec": spec}, KubeVirt)) == [
        f"{base}.mediatedDevicesTypes is deprecated, use mediatedDeviceTypes",
        f"{base}.nodeMediatedDeviceTypes[0].mediatedDevicesTypes is deprecated, use mediatedDeviceTypes",
    ]
