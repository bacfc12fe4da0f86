"""The machine that a clone makes: everything of the source but its identity. Pure; works on decoded JSON."""

import copy
from typing import Any, Final

from kobune.api.clone import VirtualMachineClone

__all__ = ["CLONE_ANNOTATION", "copied_machine", "keeps", "uncopyable"]

Document = dict[str, Any]

CLONE_ANNOTATION: Final = "kobune.io/cloned-by"
"""On the new machine: the uid of the clone that made it."""
_NOT_COPIED: Final = ("kubectl.kubernetes.io/last-applied-configuration",)


def uncopyable(clone: VirtualMachineClone, source: Document) -> str:
    """What cannot be copied yet; empty when everything can."""
    if clone.spec.patches:
        return "patches of a clone are not supported yet"
    volumes = ((source["spec"].get("template") or {}).get("spec") or {}).get("volumes") or ()
    for volume in volumes:
        if "persistentVolumeClaim" in volume or "dataVolume" in volume:
            return f"the disk of volume {volume['name']} cannot be copied yet"
    return ""


def copied_machine(clone: VirtualMachineClone, source: Document, name: str) -> Document:
    """The new machine, halted, with MAC addresses, uuid and serial of its own."""
    spec = copy.deepcopy(source["spec"])
    spec.pop("running", None)
    spec["runStrategy"] = "Halted"
    template = spec.get("template") or {}
    filters = clone.spec.template
    if filters is not None:
        metadata = template.get("metadata") or {}
        for field, patterns in (("labels", filters.label_filters), ("annotations", filters.annotation_filters)):
            if field in metadata:
                metadata[field] = _filtered(metadata[field], patterns)
    domain = (template.get("spec") or {}).get("domain") or {}
    for interface in (domain.get("devices") or {}).get("interfaces") or ():
        interface.pop("macAddress", None)
        if interface["name"] in clone.spec.new_mac_addresses:
            interface["macAddress"] = clone.spec.new_mac_addresses[interface["name"]]
    firmware = domain.get("firmware") or {}
    for field in ("uuid", "serial"):
        firmware.pop(field, None)
    if clone.spec.new_sm_bios_serial:
        domain["firmware"] = {**firmware, "serial": clone.spec.new_sm_bios_serial}
    metadata = source["metadata"]
    annotations = _filtered(metadata.get("annotations") or {}, clone.spec.annotation_filters)
    return {
        "metadata": {
            "name": name,
            "labels": _filtered(metadata.get("labels") or {}, clone.spec.label_filters),
            "annotations": {**annotations, CLONE_ANNOTATION: clone.metadata.uid},
        },
        "spec": spec,
    }


def _filtered(entries: dict[str, str], patterns: list[str]) -> dict[str, str]:
    return {key: value for key, value in entries.items() if key not in _NOT_COPIED and keeps(key, patterns)}


def keeps(key: str, patterns: list[str]) -> bool:
    """Whether a key passes: a pattern may end with `*`, and with `!` before it it takes away."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    if wanted and not any(_matches(key, pattern) for pattern in wanted):
        return False
    return not any(_matches(key, pattern) for pattern in unwanted)


def _matches(key: str, pattern: str) -> bool:
    return key.startswith(pattern[:-1]) if pattern.endswith("*") else key == pattern
