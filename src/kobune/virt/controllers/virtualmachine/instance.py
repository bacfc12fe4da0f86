"""The instance that a VirtualMachine makes, and the revision that remembers from what."""

from typing import Any, Final

import msgspec

from kobune.api.instancetype.expand import MAX_SOCKETS_RATIO, expand
from kobune.api.instancetype.prefer import AUTOATTACHED_INPUT
from kobune.api.kubevirt import VirtualMachine
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.objects import owner_reference
from kobune.virt.controllers.virtualmachine.memorydump import without_dumps
from kobune.virt.controllers.virtualmachine.sizing import Sizing
from kobune.virt.controllers.words import VM_FINALIZER, VM_GENERATION_ANNOTATION

__all__ = ["START_PREFIX", "controller_revision", "instance", "revision_name"]

START_PREFIX: Final = "revision-start-vm-"
"""Of the names of revisions that remember what instances were made from."""

_NOT_INHERITED = ("kubectl.kubernetes.io/last-applied-configuration",)


def revision_name(vm: VirtualMachine) -> str:
    """The name of the ControllerRevision of the machine's present generation."""
    return f"{START_PREFIX}{vm.metadata.uid}-{vm.metadata.generation}"


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


def instance(vm: VirtualMachine, sizing: Sizing | None = None) -> dict[str, Any]:
    """The VirtualMachineInstance of the machine's template, with instancetype and preference applied."""
    sizing = sizing or Sizing()
    template = vm.spec.template
    annotations = {key: value for key, value in template.metadata.annotations.items() if key not in _NOT_INHERITED}
    annotations[VM_GENERATION_ANNOTATION] = str(vm.metadata.generation)
    if vm.spec.run_strategy == "WaitAsReceiver":
        annotations["kubevirt.io/wait-as-receiver"] = "true"
    annotations = {**_sizing_annotations(sizing), **annotations}
    metadata: dict[str, Any] = {
        "name": vm.metadata.name,
        "namespace": vm.metadata.namespace,
        "annotations": annotations,
        "ownerReferences": [owner_reference(VIRTUAL_MACHINES, vm)],
        "finalizers": [VM_FINALIZER],
    }
    if template.metadata.labels:
        metadata["labels"] = dict(template.metadata.labels)
    spec = expand(
        without_dumps(msgspec.to_builtins(template.spec)), sizing.instancetype_spec(), sizing.preference_spec()
    )
    if sizing.instancetype is not None:
        cpu = spec["domain"]["cpu"]
        cpu.setdefault("maxSockets", cpu["sockets"] * MAX_SOCKETS_RATIO)
    _attach_input(spec["domain"]["devices"])
    if any(
        request.action == "Start" and request.data.get("paused") == "true"
        for request in vm.status.state_change_requests
    ):
        spec["startStrategy"] = "Paused"
    return {"metadata": metadata, "spec": spec, "status": {"virtualMachineRevisionName": revision_name(vm)}}


def _attach_input(devices: dict[str, Any]) -> None:
    """The input device that `autoattachInputDevice` asks for: a tablet on USB unless a preference says otherwise."""
    if devices.get("autoattachInputDevice") is True and not devices.get("inputs"):
        devices["inputs"] = [{"name": AUTOATTACHED_INPUT}]
    for device in devices.get("inputs") or ():
        if device.get("name") == AUTOATTACHED_INPUT:
            device["bus"] = device.get("bus") or "usb"
            device["type"] = device.get("type") or "tablet"


def _sizing_annotations(sizing: Sizing) -> dict[str, str]:
    """Which instancetype and preference the instance was made with."""
    annotations: dict[str, str] = {}
    for word, part in (("instancetype", sizing.instancetype), ("preference", sizing.preference)):
        if part is not None:
            prefix = "cluster-" if "cluster" in part.kind.lower() else ""
            annotations[f"kubevirt.io/{prefix}{word}-name"] = part.name
    # What the instancetype says goes before what the preference says.
    for spec in (sizing.preference_spec(), sizing.instancetype_spec()):
        annotations |= spec.annotations if spec is not None else {}
    return annotations
