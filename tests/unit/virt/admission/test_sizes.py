"""What instancetypes and preferences make of a machine, as virt-api sees and shows it."""

from typing import Any

import msgspec
import pytest

from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.virt.admission.defaults.instance import attach_default_devices, default_template
from kobune.virt.admission.sizes import Sizes
from kobune.virt.admission.validation.groups import instancetype_warnings
from support.vms import machine_dict


def instancetype(**fields: Any) -> VirtualMachineInstancetypeSpec:
    small = {"cpu": {"guest": 1}, "memory": {"guest": "64Mi"}}
    return msgspec.convert({**small, **fields}, VirtualMachineInstancetypeSpec)


def preference(**fields: Any) -> VirtualMachinePreferenceSpec:
    return msgspec.convert(fields, VirtualMachinePreferenceSpec)


@pytest.mark.parametrize(
    ("domain", "field"),
    [
        ({}, "spec.template.spec.domain.cpu.sockets"),
        ({"cpu": {"cores": 2}}, "spec.template.spec.domain.cpu.sockets"),
        ({"cpu": {"sockets": 2}}, "spec.template.spec.domain.memory"),
        ({"resources": {"requests": {"cpu": "2", "memory": "2Gi"}}}, ""),
        ({"resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}}}, "spec.template.spec.domain.memory"),
        ({"resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}, ""),
    ],
)
def test_what_is_requested_counts_for_what_is_required(domain: dict[str, Any], field: str) -> None:
    sizes = Sizes(preference=preference(requirements={"cpu": {"guest": 2}, "memory": {"guest": "1Gi"}}))
    resources = {"requests": {"memory": "64Mi"}}
    found = sizes.shortage({"domain": {"devices": {}, "resources": resources, **domain}})
    assert (found.field if found is not None else "") == field


def test_the_instancetype_s_io_threads_are_not_given_twice() -> None:
    sizes = Sizes(instancetype(ioThreads={"supplementalPoolThreadCount": 2}))
    spec = {"domain": {"ioThreads": {"supplementalPoolThreadCount": 1}}}
    (problem,) = sizes.problems({"spec": spec})
    assert problem.field == "spec.template.spec.domain.ioThreads.supplementalPoolThreadCount"


def test_an_expanded_machine_has_their_annotations_and_what_is_requested() -> None:
    machine = machine_dict()
    template = machine["spec"]["template"]
    template["metadata"] = {"annotations": {"mine": "1"}}
    template["spec"] = {
        "domain": {"devices": {}, "resources": {"requests": {"cpu": "2", "memory": "64Mi"}}},
        "volumes": [{"name": "root", "containerDisk": {"image": "demo"}}],
    }
    attach_default_devices(template["spec"], "bridge")
    wanted = preference(annotations={"mine": "2", "theirs": "3"}, devices={"preferredDiskBus": "scsi"})
    expanded = Sizes(preference=wanted).expand(machine)["spec"]["template"]
    default_template(expanded["spec"])
    assert expanded["metadata"]["annotations"] == {"mine": "1", "theirs": "3"}
    domain = expanded["spec"]["domain"]
    assert domain["cpu"] == {"cores": 1, "sockets": 2, "threads": 1}
    assert domain["memory"] == {"guest": "64Mi"}
    assert domain["devices"]["disks"] == [{"name": "root", "disk": {"bus": "scsi"}}]
    assert domain["devices"]["interfaces"] == [{"name": "default", "bridge": {}}]
    assert expanded["spec"]["evictionStrategy"] == "None"
    assert expanded["spec"]["volumes"][0]["containerDisk"]["imagePullPolicy"] == "Always"


def test_fields_that_go_away_are_warned_of() -> None:
    assert instancetype_warnings(instancetype()) == []
    assert "deprecated" in instancetype_warnings(instancetype(launchSecurity={"sev": {}}))[0]
