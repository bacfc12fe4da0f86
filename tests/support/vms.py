"""Builders of VirtualMachines, instances and launcher pods for tests: a small valid one, with changes."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance

__all__ = ["NOW", "condition", "instance", "instance_dict", "launcher", "machine", "machine_dict", "spec"]

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VM_UID = "11111111-1111-4111-8111-111111111111"
VMI_UID = "22222222-2222-4222-8222-222222222222"


def spec(**changes: Any) -> dict[str, Any]:
    """The specification of an instance; `changes` replace top-level fields."""
    base: dict[str, Any] = {
        "domain": {
            "devices": {
                "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                "interfaces": [{"name": "default", "masquerade": {}}],
            },
            "memory": {"guest": "64Mi"},
        },
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [{"name": "root", "containerDisk": {"image": "registry.example/demo:1"}}],
    }
    return {**base, **changes}


def machine_dict(
    *, strategy: str | None = "Always", status: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """A VirtualMachine as JSON."""
    vm_spec: dict[str, Any] = {"template": {"metadata": {}, "spec": spec()}}
    if strategy is not None:
        vm_spec["runStrategy"] = strategy
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {
            "name": "vm",
            "namespace": "ns",
            "uid": VM_UID,
            "resourceVersion": "7",
            "generation": 3,
            "finalizers": ["kubevirt.io/virtualMachineControllerFinalize"],
            **metadata,
        },
        "spec": vm_spec,
        "status": status or {},
    }


def machine(**arguments: Any) -> VirtualMachine:
    """A VirtualMachine; see `machine_dict`."""
    return msgspec.convert(machine_dict(**arguments), VirtualMachine)


def instance_dict(
    *,
    phase: str = "Pending",
    spec_changes: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """A VirtualMachineInstance of the machine above, as JSON."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {
            "name": "vm",
            "namespace": "ns",
            "uid": VMI_UID,
            "resourceVersion": "9",
            "annotations": {"kubevirt.io/vm-generation": "3"},
            "finalizers": [
                "kubevirt.io/foregroundDeleteVirtualMachine",
                "kubevirt.io/virtualMachineControllerFinalize",
            ],
            "ownerReferences": [
                {
                    "apiVersion": "kubevirt.io/v1",
                    "kind": "VirtualMachine",
                    "name": "vm",
                    "uid": VM_UID,
                    "controller": True,
                }
            ],
            **metadata,
        },
        "spec": spec(**(spec_changes or {})),
        "status": {"phase": phase, **(status or {})},
    }


def instance(**arguments: Any) -> VirtualMachineInstance:
    """A VirtualMachineInstance; see `instance_dict`."""
    return msgspec.convert(instance_dict(**arguments), VirtualMachineInstance)


def launcher(
    *,
    phase: str = "Pending",
    node: str = "",
    state: dict[str, Any] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    **metadata: Any,
) -> Pod:
    """The launcher pod of the instance above; `state` is the state of `compute`."""
    statuses = [{"name": "compute", "state": state, "ready": "running" in state}] if state is not None else []
    return msgspec.convert(
        {
            "metadata": {"name": "virt-launcher-vm-x", "namespace": "ns", "uid": "pod-uid", **metadata},
            "spec": {"containers": [{"name": "compute", "image": "launcher:1"}], "nodeName": node},
            "status": {"phase": phase, "containerStatuses": statuses, "conditions": conditions or []},
        },
        Pod,
    )


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """The condition of that type; an empty one when there is none."""
    return next((item for item in status.get("conditions", ()) if item["type"] == kind), {})
