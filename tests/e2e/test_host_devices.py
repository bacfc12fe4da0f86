"""Devices of the node that the installation permits: offered by the node, and asked for by the pods of guests."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.guest_shell import machine
from support.instance import Instance

NAME = "given"
RESOURCE = "example.com/made-up-device"
GUEST = yaml.safe_load(machine(NAME, devices={"hostDevices": [{"name": "thing", "deviceName": RESOURCE}]}))


def configure(instance: Instance, permitted: list[dict[str, Any]] | None, gates: list[str]) -> None:
    devices = None if permitted is None else {"pciHostDevices": permitted}
    configuration = {"permittedHostDevices": devices, "developerConfiguration": {"featureGates": gates}}
    (found,) = instance.get("kubevirt", "-A")["items"]
    where = ("-n", found["metadata"]["namespace"], found["metadata"]["name"])
    patch = {"spec": {"configuration": configuration}}
    instance.kubectl("patch", "kubevirt", *where, "--type=merge", "-p", json.dumps(patch))


def capacity(instance: Instance) -> str | None:
    (node,) = instance.get("nodes")["items"]
    found: str | None = node["status"]["capacity"].get(RESOURCE)
    return found


@pytest.fixture
def permitting(instance: Instance) -> Iterator[Instance]:
    configure(instance, [], ["HostDevices"])
    yield instance
    instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", f"vm/{NAME}")
    configure(instance, None, [])


def told(instance: Instance, words: str) -> bool:
    status = instance.get("vmi", NAME)["status"] if instance.get("vmis")["items"] else {}
    return any(words in str(condition.get("message")) for condition in status.get("conditions", []))


def test_a_device_must_be_permitted_and_then_there_must_be_one(permitting: Instance) -> None:
    def accepted() -> bool:
        return NAME in permitting.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(GUEST), check=False)

    # The gate takes effect when virt-api has seen it.
    permitting.eventually("it is accepted with the gate", accepted, 30)
    refusal = f"HostDevice {RESOURCE} is not permitted in permittedHostDevices configuration"
    permitting.eventually("it says that the device is not permitted", lambda: told(permitting, refusal), 60)
    assert permitting.get("pods", "-l", "kubevirt.io=virt-launcher")["items"] == []
    configure(permitting, [{"pciVendorSelector": "dead:beef", "resourceName": RESOURCE}], ["HostDevices"])
    permitting.eventually("the node offers the resource, of which it has none", lambda: capacity(permitting) == "0", 60)
    permitting.eventually("the pod waits for a device", lambda: told(permitting, f"Insufficient {RESOURCE}"), 60)
    (pod,) = permitting.get("pods", "-l", "kubevirt.io=virt-launcher")["items"]
    compute = next(one for one in pod["spec"]["containers"] if one["name"] == "compute")
    assert compute["resources"]["limits"][RESOURCE] == "1"
