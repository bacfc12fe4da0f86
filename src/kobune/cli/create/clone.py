"""The manifest of a VirtualMachineClone from the flags of `create clone`. Pure."""

from dataclasses import dataclass
from typing import Any, Final

import click

__all__ = ["CloneRequest", "clone_manifest"]

Document = dict[str, Any]

_MACHINE: Final = ("VirtualMachine", "kubevirt.io")
_SNAPSHOT: Final = ("VirtualMachineSnapshot", "snapshot.kubevirt.io")
_TYPES: Final = {
    "vm": _MACHINE,
    "virtualmachine": _MACHINE,
    "snapshot": _SNAPSHOT,
    "vmsnapshot": _SNAPSHOT,
    "virtualmachinesnapshot": _SNAPSHOT,
}


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """What was asked for; `source` and `target` are a type and a name, filters are patterns of names."""

    name: str
    source: tuple[str, str]
    target: tuple[str, str] = ("vm", "")
    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    template_labels: tuple[str, ...] = ()
    template_annotations: tuple[str, ...] = ()
    mac_addresses: tuple[str, ...] = ()
    serial: str = ""
    namespace: str = ""


def clone_manifest(request: CloneRequest) -> Document:
    """The VirtualMachineClone. Raises UsageError."""
    spec: Document = {"source": _reference("source", *request.source)}
    target = _reference("target", *request.target)
    if request.target[1]:
        spec["target"] = target
    filters = {"labelFilters": request.labels, "annotationFilters": request.annotations}
    spec |= {field: list(patterns) for field, patterns in filters.items() if patterns}
    inner = {"labelFilters": request.template_labels, "annotationFilters": request.template_annotations}
    if template := {field: list(patterns) for field, patterns in inner.items() if patterns}:
        spec["template"] = template
    if addresses := _addresses(request.mac_addresses):
        spec["newMacAddresses"] = addresses
    if request.serial:
        spec["newSMBiosSerial"] = request.serial
    metadata = {"name": request.name, **({"namespace": request.namespace} if request.namespace else {})}
    return {
        "apiVersion": "clone.kubevirt.io/v1beta1",
        "kind": "VirtualMachineClone",
        "metadata": metadata,
        "spec": spec,
    }


def _reference(side: str, kind: str, name: str) -> Document:
    found = _TYPES.get(kind.lower())
    if found is None or (side == "target" and found is not _MACHINE):
        types = "vm, snapshot" if side == "source" else "vm"
        raise click.UsageError(f"{side} type {kind} is not supported. Supported types: {types}")
    return {"apiGroup": found[1], "kind": found[0], "name": name}


def _addresses(texts: tuple[str, ...]) -> dict[str, str]:
    """`INTERFACE:ADDRESS`; addresses are written with colons or dashes."""
    found: dict[str, str] = {}
    for text in texts:
        interface, colon, address = text.partition(":")
        if not colon or not interface or not address:
            raise click.UsageError(f"--new-mac-address {text!r}: write INTERFACE:ADDRESS")
        found[interface] = address
    return found
