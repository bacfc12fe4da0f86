"""Defaults: what a user leaves out, and that what he wrote stays."""

import copy
import uuid
from typing import Any

import pytest

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.virt.admission.defaults.instance import default_instance
from kobune.virt.admission.defaults.machine import check_matchers, default_machine
from kobune.virt.admission.schema import complete
from support.vms import machine_dict, spec

UUID = uuid.UUID("5d307ca9-b3ef-428c-8861-06e72d69f223")


def defaulted(**changes: Any) -> dict[str, Any]:
    obj = {"metadata": {"name": "a"}, "spec": copy.deepcopy(spec(**changes))}
    default_instance(obj, new_uuid=UUID)
    return obj


def test_an_instance_gets_everything_that_it_needs_to_run() -> None:
    obj = defaulted()
    assert obj["metadata"]["finalizers"] == ["kubevirt.io/foregroundDeleteVirtualMachine"]
    assert obj["metadata"]["annotations"] == {"kubevirt.io/pci-topology-version": "v3"}
    assert obj["status"] == {"phase": "Pending"}
    domain = obj["spec"]["domain"]
    assert domain["cpu"] == {"cores": 1, "sockets": 1, "threads": 1, "maxSockets": 4, "model": "host-model"}
    assert domain["machine"] == {"type": "q35"}
    assert domain["firmware"] == {"uuid": str(UUID)}
    assert domain["features"] == {"acpi": {"enabled": True}}
    assert obj["spec"]["evictionStrategy"] == "None"


@pytest.mark.parametrize(
    ("cpu", "most"),
    [
        ({"sockets": 2}, 8),
        ({"sockets": 2, "maxSockets": 3}, 3),
        ({"cores": 2}, None),
        ({"sockets": 64, "cores": 4, "threads": 1}, 128),
        ({"sockets": 300, "cores": 2, "threads": 1}, 300),
    ],
)
def test_sockets_may_grow_fourfold_within_what_machines_have(cpu: dict[str, int], most: int | None) -> None:
    domain = {"cpu": cpu, "devices": {}, "memory": {"guest": "64Mi"}}
    assert defaulted(domain=domain)["spec"]["domain"]["cpu"].get("maxSockets") == most


def test_an_enlightenment_that_was_turned_off_stays_off() -> None:
    hyperv = {"synictimer": {}, "vpindex": {"enabled": False}}
    found = defaulted(domain={"devices": {}, "features": {"hyperv": hyperv}})["spec"]["domain"]["features"]["hyperv"]
    assert (found["synic"], found["vpindex"]) == ({"enabled": True}, {"enabled": False})


def test_without_networks_the_pod_s_is_bridged_unless_it_is_not_wanted() -> None:
    bare = {"domain": {"devices": {}}, "networks": [], "volumes": []}
    obj = defaulted(**bare)
    assert obj["spec"]["networks"] == [{"name": "default", "pod": {}}]
    assert obj["spec"]["domain"]["devices"]["interfaces"] == [{"name": "default", "bridge": {}}]
    refused = defaulted(**{**bare, "domain": {"devices": {"autoattachPodInterface": False}}})
    assert "interfaces" not in refused["spec"]["domain"]["devices"]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("registry.example/demo:1", "IfNotPresent"),
        ("registry.example/demo@sha256:00", "IfNotPresent"),
        ("registry.example/demo:latest", "Always"),
        ("demo", "Always"),
        ("kobune/demo", "IfNotPresent"),
    ],
)
def test_images_that_move_are_pulled_always(image: str, policy: str) -> None:
    obj = defaulted(volumes=[{"name": "root", "containerDisk": {"image": image}}])
    assert obj["spec"]["volumes"][0]["containerDisk"]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("cpu", "resources", "expected"),
    [
        ({"cores": 2}, {}, {"cores": 2, "model": "host-model"}),
        ({"model": "Haswell", "cores": 1}, {}, {"cores": 1, "model": "Haswell"}),
        (
            {},
            {"limits": {"cpu": "1500m"}},
            {"cores": 1, "sockets": 2, "threads": 1, "maxSockets": 8, "model": "host-model"},
        ),
    ],
)
def test_the_topology_is_completed_from_resources(
    cpu: dict[str, Any], resources: dict[str, Any], expected: dict[str, Any]
) -> None:
    domain = {**spec()["domain"], "cpu": cpu, "resources": resources}
    assert defaulted(domain=domain)["spec"]["domain"]["cpu"] == expected


def test_memory_comes_from_requests_or_limits() -> None:
    domain = {"devices": {}, "resources": {"limits": {"memory": "128Mi"}}}
    obj = defaulted(domain=domain)
    assert obj["spec"]["domain"]["memory"] == {"guest": "128Mi"}
    assert obj["spec"]["domain"]["resources"] == {"limits": {"memory": "128Mi"}}


@pytest.mark.parametrize(
    ("domain", "memory"),
    [
        ({"memory": {"hugepages": {"pageSize": "2Mi"}}}, {"guest": "2Mi"}),
        ({"memory": {"guest": "1Gi"}}, {"guest": "1Gi", "maxGuest": "4Gi"}),
        ({"memory": {"guest": "1Gi", "maxGuest": "2Gi"}}, {"guest": "1Gi", "maxGuest": "2Gi"}),
        ({"resources": {"requests": {"memory": "2Gi"}}}, {"guest": "2Gi", "maxGuest": "8Gi"}),
        ({"memory": {"guest": "1500M"}}, {"guest": "1500M"}),
        ({"memory": {"guest": "1Gi"}, "cpu": {"realtime": {}}}, {"guest": "1Gi"}),
        ({"memory": {"guest": "much"}}, {"guest": "much"}),
    ],
)
def test_memory_may_grow_fourfold_where_it_can_grow_at_all(domain: dict[str, Any], memory: dict[str, str]) -> None:
    filled = defaulted(domain={"devices": {}, **domain})["spec"]["domain"]["memory"]
    filled.pop("hugepages", None)
    assert filled == memory


def test_hyperv_features_bring_what_they_are_built_on() -> None:
    domain = {**spec()["domain"], "features": {"hyperv": {"synictimer": {}, "relaxed": {"enabled": False}}}}
    hyperv = defaulted(domain=domain)["spec"]["domain"]["features"]["hyperv"]
    assert hyperv == {
        "synictimer": {"enabled": True},
        "relaxed": {"enabled": False},
        "synic": {"enabled": True},
        "vpindex": {"enabled": True},
    }


def test_a_volume_that_nothing_uses_becomes_a_disk() -> None:
    volumes = [{"name": name, "emptyDisk": {"capacity": "1Gi"}} for name in ("root", "shared", "data")]
    devices = {"disks": [{"name": "root", "disk": {"bus": "virtio"}}], "filesystems": [{"name": "shared"}]}
    obj = defaulted(volumes=volumes, domain={"devices": devices})
    disks = obj["spec"]["domain"]["devices"]["disks"]
    assert disks == [{"name": "root", "disk": {"bus": "virtio"}}, {"name": "data", "disk": {"bus": "sata"}}]


def test_setting_defaults_twice_changes_nothing() -> None:
    once = defaulted()
    twice = copy.deepcopy(once)
    default_instance(twice, new_uuid=uuid.uuid4())
    assert twice == once


def test_a_machine_keeps_what_was_written_and_gets_an_identity_once() -> None:
    obj = machine_dict()
    written = copy.deepcopy(obj["spec"]["template"]["spec"]["volumes"])
    default_machine(obj, new_uuid=UUID, new_serial=UUID)
    template = obj["spec"]["template"]["spec"]
    assert template["volumes"] == written
    assert template["domain"]["firmware"] == {"uuid": str(UUID), "serial": str(UUID)}
    default_machine(obj, new_uuid=uuid.uuid4(), new_serial=uuid.uuid4())
    assert template["domain"]["firmware"]["uuid"] == str(UUID)
    assert "cpu" not in template["domain"]


@pytest.mark.parametrize(
    ("matcher", "field"),
    [
        ({"kind": "VirtualMachineInstancetype"}, "spec.instancetype"),
        ({"name": "a", "inferFromVolume": "root"}, "spec.instancetype.name"),
        (
            {"name": "a", "kind": "k", "inferFromVolume": "root"},
            "spec.instancetype.name spec.instancetype.kind",
        ),
        (
            {"inferFromVolume": "root", "inferFromVolumeFailurePolicy": "Shrug"},
            "spec.instancetype.inferFromVolumeFailurePolicy",
        ),
    ],
)
def test_a_matcher_says_exactly_one_thing(matcher: dict[str, Any], field: str) -> None:
    machine_spec = {**machine_dict()["spec"], "instancetype": matcher}
    assert [problem.field for problem in check_matchers(machine_spec).problems] == field.split()


def test_required_fields_with_an_empty_value_are_filled_and_others_refused() -> None:
    obj: dict[str, Any] = {"spec": {"domain": {"devices": {"disks": [{"disk": {}}]}}}}
    assert complete(VirtualMachineInstance, obj) == []
    assert obj["spec"]["domain"]["devices"]["disks"] == [{"disk": {}, "name": ""}]
    (problem,) = complete(VirtualMachine, {"spec": {"runStrategy": "Halted"}})
    assert problem.message == "spec.template in body is required"
    (problem,) = complete(VirtualMachineInstance, {"spec": {**spec(), "dnsPolicy": "Sometimes"}})
    assert "should be one of [ClusterFirst" in problem.message
