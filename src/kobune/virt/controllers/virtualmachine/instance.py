"""The instance that a VirtualMachine makes, and the revision that remembers from what."""

from typing import Any

import msgspec

from kobune.api.kubevirt import VirtualMachine
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.objects import owner_reference
from kobune.virt.controllers.words import VM_FINALIZER, VM_GENERATION_ANNOTATION

__all__ = ["controller_revision", "instance", "revision_name"]

_NOT_INHERITED = ("kubectl.kubernetes.io/last-applied-configuration",)


def revision_name(vm: VirtualMachine) -> str:
    """The name of the ControllerRevision of the machine's present generation."""
    return f"revision-start-vm-{vm.metadata.uid}-{vm.metadata.generation}"


def controller_revision(vm: VirtualMachine) -> dict[str, Any]:
    """The machine's spec at the time its instance is made."""
    return {
        "metadata": {
            "name": revision_name(vm),
            "namespace": vm.metadata.namespace,
            "ownerReferences": [owner_reference(VIRTUAL_MACHINES, vm)],
        },
        "data": {"spec": msgspec.to_builtins(vm.spec)},
        "revision": vm.metadata.generation,
    }


def instance(vm: VirtualMachine) -> dict[str, Any]:
    """The VirtualMachineInstance of the machine's template."""
    template = vm.spec.template
    annotations = {key: value for key, value in template.metadata.annotations.items() if key not in _NOT_INHERITED}
    annotations[VM_GENERATION_ANNOTATION] = str(vm.metadata.generation)
    if vm.spec.run_strategy == "WaitAsReceiver":
        annotations["kubevirt.io/wait-as-receiver"] = "true"
    metadata: dict[str, Any] = {
        "name": vm.metadata.name,
        "namespace": vm.metadata.namespace,
        "annotations": annotations,
        "ownerReferences": [owner_reference(VIRTUAL_MACHINES, vm)],
        "finalizers": [VM_FINALIZER],
    }
    if template.metadata.labels:
        metadata["labels"] = dict(template.metadata.labels)
    spec: dict[str, Any] = msgspec.to_builtins(template.spec)
    if any(
        request.action == "Start" and request.data.get("paused") == "true"
        for request in vm.status.state_change_requests
    ):
        spec["startStrategy"] = "Paused"
    return {"metadata": metadata, "spec": spec, "status": {"virtualMachineRevisionName": revision_name(vm)}}
