"""Snapshots, restores, clones and exports: what they name, and what they ask for. Source: KubeVirt's rules."""

import json
from collections.abc import Sequence
from typing import Any, Final

from kobune.api.clone import VirtualMachineClone
from kobune.api.export import VirtualMachineExport
from kobune.api.snapshot import VirtualMachineRestore, VirtualMachineSnapshot
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.check import is_mac_address

__all__ = ["check_clone", "check_export", "check_restore", "check_restore_patches", "check_snapshot", "in_progress"]

KUBEVIRT: Final = "kubevirt.io"
SNAPSHOT: Final = "snapshot.kubevirt.io"
_PATCHABLE: Final = ("/spec/", "/metadata/labels/", "/metadata/annotations/")
_READINESS: Final = ("StopTarget", "WaitGracePeriod", "FailImmediate", "WaitEventually")
_RESTORE_POLICIES: Final = ("InPlace", "RandomizeNames", "PrefixTargetName")
_OWNERSHIP_POLICIES: Final = ("Vm", "None")


def check_snapshot(snapshot: VirtualMachineSnapshot) -> list[Problem]:
    """Only machines can be kept."""
    return _machine_reference("spec.source", snapshot.spec.source.api_group, snapshot.spec.source.kind)


def check_restore(restore: VirtualMachineRestore) -> list[Problem]:
    """Only machines can be brought back; the policies are known ones, and overrides override something."""
    spec = restore.spec
    if wrong := _machine_reference("spec.target", spec.target.api_group, spec.target.kind):
        return wrong
    problems: list[Problem] = []
    for index, override in enumerate(spec.volume_restore_overrides):
        here = f"spec.volumeRestoreOverrides[{index}]"
        if not override.volume_name:
            problems.append(Problem(f"{here}.volumeName", Reason.REQUIRED, "must provide a volume name"))
        if not override.restore_name and not override.annotations and not override.labels:
            problems.append(Problem(here, Reason.REQUIRED, "must provide at least one overriden field"))
    for field, value, allowed in (
        ("volumeRestorePolicy", spec.volume_restore_policy, _RESTORE_POLICIES),
        ("volumeOwnershipPolicy", spec.volume_ownership_policy, _OWNERSHIP_POLICIES),
        ("targetReadinessPolicy", spec.target_readiness_policy, _READINESS),
    ):
        if value and value not in allowed:
            message = f'"{value}" is no {field}: use one of {", ".join(allowed)}'
            problems.append(Problem(f"spec.{field}", Reason.INVALID, message))
    return problems


def check_restore_patches(restore: VirtualMachineRestore) -> list[Problem]:
    """What patches of the restored machine may touch. Looked at when the snapshot exists, as in KubeVirt."""
    problems = []
    for text in restore.spec.patches:
        try:
            found = json.loads(text)
        except ValueError:
            problems.append(Problem("spec.patches", Reason.INVALID, f"patch is not valid JSON: {text}"))
            continue
        for operation in found if isinstance(found, list) else [found]:
            where: Any = operation.get("path") if isinstance(operation, dict) else None
            if not isinstance(where, str) or not where.startswith(_PATCHABLE):
                message = f"patching is valid only for labels, annotations and elements under /spec/: {text}"
                problems.append(Problem("spec.patches", Reason.INVALID, message))
    return problems


def in_progress(restore: VirtualMachineRestore, others: Sequence[VirtualMachineRestore]) -> list[Problem]:
    """Other restores of the same machine that are neither complete nor failed."""
    return [
        Problem("spec.target", Reason.INVALID, f'VirtualMachineRestore "{other.metadata.name}" in progress')
        for other in others
        if other.spec.target == restore.spec.target
        and not other.status.complete
        and not any(item.type == "Failure" and item.status == "True" for item in other.status.conditions)
        and other.metadata.name != restore.metadata.name
    ]


def _machine_reference(path: str, group: str | None, kind: str) -> list[Problem]:
    if group is None:
        return [Problem(f"{path}.apiGroup", Reason.NOT_FOUND, "missing apiGroup: use kubevirt.io")]
    if group != KUBEVIRT:
        return [Problem(f"{path}.apiGroup", Reason.INVALID, "invalid apiGroup: use kubevirt.io")]
    if kind != "VirtualMachine":
        return [Problem(f"{path}.kind", Reason.INVALID, "invalid kind: use VirtualMachine")]
    return []


def check_clone(clone: VirtualMachineClone) -> list[Problem]:
    """Source, target, filters, and what is different in the copy."""
    spec = clone.spec
    problems = []
    if spec.source.kind not in ("VirtualMachine", "VirtualMachineSnapshot"):
        problems.append(Problem("spec.Source.Kind", Reason.INVALID, "Source kind is not supported"))
    if not spec.source.api_group:
        problems.append(Problem("spec.Source.APIGroup", Reason.INVALID, "Source's APIGroup cannot be empty"))
    if not spec.source.kind:
        problems.append(Problem("spec.Source", Reason.INVALID, "Source's Kind cannot be empty"))
    if not spec.source.name:
        problems.append(Problem("spec.Source.Name", Reason.INVALID, "Source's name cannot be empty"))
    target = spec.target
    if target is not None:
        if target.kind != "VirtualMachine":
            problems.append(Problem("spec.Target.Kind", Reason.INVALID, "Target kind is not supported"))
        elif spec.source.kind == "VirtualMachine" and target.name == spec.source.name:
            message = "Target name cannot be equal to source name when both are VirtualMachines"
            problems.append(Problem("spec.target.name", Reason.INVALID, message))
    for path, filters in (
        ("spec.labels", spec.label_filters),
        ("spec.annotations", spec.annotation_filters),
        ("spec.template.labels", spec.template.label_filters if spec.template is not None else []),
        ("spec.template.annotations", spec.template.annotation_filters if spec.template is not None else []),
    ):
        problems += [Problem(path, Reason.INVALID, message) for message in map(_filter, filters) if message]
    return problems + _differences(clone)


def _differences(clone: VirtualMachineClone) -> list[Problem]:
    problems = []
    for name, address in clone.spec.new_mac_addresses.items():
        if address and not is_mac_address(address):
            message = f"interface {name} has malformed MAC address ({address})."
            problems.append(Problem(f"spec.newMacAddresses.{name}", Reason.INVALID, message))
    for index, patch in enumerate(clone.spec.patches):
        try:
            json.loads(patch)
        except ValueError:
            message = f"patch is not valid JSON ({patch})"
            problems.append(Problem(f"spec.patches[{index}]", Reason.INVALID, message))
    policy = clone.spec.volume_name_policy
    if policy is not None and policy not in _RESTORE_POLICIES[1:]:
        message = f'VolumeNamePolicy "{policy}" is not supported: use RandomizeNames or PrefixTargetName'
        problems.append(Problem("spec.volumeNamePolicy", Reason.NOT_SUPPORTED, message))
    return problems


def _filter(text: str) -> str:
    """What is wrong with a filter of labels; empty when nothing is."""
    if text == "!":
        return "a negation character is not a valid filter"
    if "!" in text[1:]:
        return "a negation character is allowed at the beginning of a filter only"
    return "a wildcard is allowed at the end of a filter only" if "*" in text[:-1] else ""


def check_export(export: VirtualMachineExport) -> list[Problem]:
    """A claim, a machine or a snapshot, by its group and name."""
    source = export.spec.source
    kinds = {
        "PersistentVolumeClaim": ("PVC", "PVC", ""),
        "VirtualMachine": ("Virtual Machine", "VM", KUBEVIRT),
        "VirtualMachineSnapshot": ("VMSnapshot", "VMSnapshot", SNAPSHOT),
    }
    if source.kind not in kinds:
        return [Problem("spec.source.kind", Reason.INVALID, "invalid kind")]
    word, short, group = kinds[source.kind]
    problems = []
    if not source.name:
        problems.append(Problem("spec.source.name", Reason.INVALID, f"{word} name must not be empty"))
    if (source.api_group or "") != group:
        message = f"{short} API group must be {group or 'missing or blank'}"
        problems.append(Problem("spec.source.APIGroup", Reason.INVALID, message))
    return problems
