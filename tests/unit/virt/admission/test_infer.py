"""Instancetypes and preferences that volumes ask for."""

from typing import Any

import msgspec
import pytest

from kobune.api.instancetype import VirtualMachinePreferenceSpec
from kobune.virt.admission.defaults.infer import CannotInfer, infer
from kobune.virt.admission.defaults.machine import check_matcher_update, default_machine

LABELS = {
    "instancetype.kubevirt.io/default-instancetype": "u1.small",
    "instancetype.kubevirt.io/default-instancetype-kind": "VirtualMachineInstancetype",
    "instancetype.kubevirt.io/default-preference": "fedora",
}
CLUSTER: dict[tuple[str, str, str], dict[str, Any]] = {
    ("persistentvolumeclaims", "d", "labelled"): {"metadata": {"labels": LABELS}},
    ("persistentvolumeclaims", "d", "plain"): {"metadata": {}},
    ("persistentvolumeclaims", "golden", "source"): {"metadata": {"labels": LABELS}},
    ("datavolumes", "d", "labelled-dv"): {"metadata": {"labels": LABELS}, "spec": {"source": {"blank": {}}}},
    ("datavolumes", "d", "of-claim"): {"spec": {"source": {"pvc": {"namespace": "golden", "name": "source"}}}},
    ("datavolumes", "d", "blank"): {"spec": {"source": {"blank": {}}}},
    ("datasources", "golden", "labelled-ds"): {"metadata": {"labels": LABELS}},
    ("datasources", "golden", "of-claim"): {"spec": {"source": {"pvc": {"namespace": "golden", "name": "source"}}}},
    ("datasources", "golden", "empty"): {"spec": {"source": {"snapshot": {}}}},
}


async def find(plural: str, namespace: str, name: str) -> dict[str, Any] | None:
    return CLUSTER.get((plural, namespace, name))


def machine(
    source: dict[str, Any], *, policy: str = "", templates: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    matcher = {"inferFromVolume": "root"} | ({"inferFromVolumeFailurePolicy": policy} if policy else {})
    return {
        "instancetype": dict(matcher),
        "preference": dict(matcher),
        "dataVolumeTemplates": templates or [],
        "template": {
            "spec": {"domain": {"memory": {"guest": "1Gi"}}, "volumes": [{"name": "other"}, {"name": "root", **source}]}
        },
    }


def by_reference(name: str, kind: str = "DataSource") -> list[dict[str, Any]]:
    reference = {"kind": kind, "namespace": "golden", "name": name}
    return [{"metadata": {"name": "made"}, "spec": {"sourceRef": reference}}]


MADE = {"dataVolume": {"name": "made"}}


@pytest.mark.parametrize(
    ("source", "templates"),
    [
        ({"persistentVolumeClaim": {"claimName": "labelled"}}, None),
        ({"dataVolume": {"name": "labelled-dv"}}, None),
        ({"dataVolume": {"name": "of-claim"}}, None),
        ({"dataVolume": {"name": "labelled"}}, None),
        (MADE, by_reference("labelled-ds")),
        (MADE, by_reference("of-claim")),
        (MADE, [{"metadata": {"name": "made"}, "spec": {"source": {"pvc": {"namespace": "d", "name": "labelled"}}}}]),
    ],
)
async def test_the_labels_of_a_volume_name_what_it_wants(
    source: dict[str, Any], templates: list[dict[str, Any]] | None
) -> None:
    spec = machine(source, templates=templates)
    await infer(spec, "d", find)
    assert spec["instancetype"] == {"name": "u1.small", "kind": "VirtualMachineInstancetype"}
    assert spec["preference"] == {"name": "fedora"}
    assert spec["template"]["spec"]["domain"] == {"memory": {"guest": "1Gi"}}


@pytest.mark.parametrize(
    ("source", "templates", "why"),
    [
        ({"containerDisk": {"image": "i"}}, None, "type is not supported"),
        (
            {"persistentVolumeClaim": {"claimName": "plain"}},
            None,
            "unable to find required .*default-instancetype label",
        ),
        ({"dataVolume": {"name": "blank"}}, None, "DataVolumeSource is not supported"),
        (MADE, by_reference("empty"), "doesn't provide DataVolumeSourcePVC"),
        (MADE, by_reference("x", kind="Other"), "as Kind Other is not supported"),
    ],
)
async def test_a_volume_that_says_nothing_is_refused_or_ignored(
    source: dict[str, Any], templates: list[dict[str, Any]] | None, why: str
) -> None:
    with pytest.raises(CannotInfer, match=why):
        await infer(machine(source, templates=templates), "d", find)
    spec = machine(source, templates=templates, policy="Ignore")
    await infer(spec, "d", find)
    assert "instancetype" not in spec
    assert "preference" not in spec


@pytest.mark.parametrize(
    ("source", "templates"),
    [
        ({"persistentVolumeClaim": {"claimName": "missing"}}, None),
        ({"dataVolume": {"name": "missing"}}, None),
        (MADE, by_reference("missing")),
    ],
)
async def test_what_does_not_exist_cannot_be_ignored(
    source: dict[str, Any], templates: list[dict[str, Any]] | None
) -> None:
    with pytest.raises(CannotInfer, match='"missing" not found'):
        await infer(machine(source, templates=templates, policy="Ignore"), "d", find)


async def test_a_volume_that_is_not_in_the_template_cannot_be_ignored() -> None:
    spec = machine({}, policy="Ignore")
    spec["template"]["spec"]["volumes"] = []
    with pytest.raises(CannotInfer, match="unable to find volume root"):
        await infer(spec, "d", find)


async def test_memory_for_the_case_of_failure_goes_when_the_type_was_found() -> None:
    spec = machine({"persistentVolumeClaim": {"claimName": "labelled"}}, policy="Ignore")
    await infer(spec, "d", find)
    assert spec["template"]["spec"]["domain"] == {}


def test_platform_and_storage_class_are_taken_from_the_preference() -> None:
    wanted = {"machine": {"preferredMachineType": "pc-q35-7.2"}, "volumes": {"preferredStorageClassName": "fast"}}
    preference = msgspec.convert(wanted, VirtualMachinePreferenceSpec)
    spec = machine({}, templates=[{"spec": {"storage": {}}}, {"spec": {"pvc": {"storageClassName": "slow"}}}])
    default_machine({"spec": spec}, new_uuid=None, new_serial=None, preference=preference)
    assert spec["template"]["spec"]["domain"]["machine"] == {"type": "pc-q35-7.2"}
    storage, pvc = spec["dataVolumeTemplates"]
    assert storage["spec"]["storage"]["storageClassName"] == "fast"
    assert pvc["spec"]["pvc"]["storageClassName"] == "slow"
    given = {"template": {"spec": {"domain": {"machine": {"type": "q35"}}}}}
    default_machine({"spec": given}, new_uuid=None, new_serial=None, preference=preference)
    assert given["template"]["spec"]["domain"]["machine"] == {"type": "q35"}


def test_a_pinned_matcher_keeps_its_name() -> None:
    old = {"instancetype": {"name": "a", "revisionName": "r"}}
    refused = check_matcher_update(old, {"instancetype": {"name": "b", "revisionName": "r"}})
    assert [problem.field for problem in refused.problems] == ["spec.instancetype.revisionName"]
    assert check_matcher_update(old, {"instancetype": {"name": "b", "revisionName": "other"}}).allowed
    assert check_matcher_update(old, {"instancetype": {"name": "b"}}).allowed
    assert check_matcher_update(old, {}).allowed
