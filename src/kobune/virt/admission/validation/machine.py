"""VirtualMachines: run strategy, template, data volume templates."""

import json
from typing import Any, Final

import msgspec

from kobune.api.cdi import DataVolumeSource
from kobune.api.kubevirt import DataVolumeTemplateSpec, VirtualMachine, VirtualMachineSpec
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.instance import check_annotations, check_labels, check_spec

__all__ = ["check_busy", "check_machine", "machine_warnings"]

_STRATEGIES: Final = ("Halted", "Manual", "Always", "RerunOnFailure", "Once", "WaitAsReceiver")
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_METADATA_SLIPS: Final = {
    "label": "labels",
    "annotation": "annotations",
    "finalizer": "finalizers",
    "ownerReference": "ownerReferences",
}
OLD_VERSION: Final = "v1alpha3"


def check_machine(
    vm: VirtualMachine, old: VirtualMachine | None, *, version: str, gates: frozenset[str]
) -> tuple[list[Problem], list[str]]:
    """Problems and warnings of a machine that is created (`old` None) or changed."""
    spec = vm.spec
    problems = _strategy(spec)
    warnings: list[str] = []
    template = spec.template
    if template.spec is None:
        problems.append(Problem("spec.template.spec", Reason.REQUIRED, "spec.template.spec is required"))
        return problems, []
    found, warned = check_spec("spec.template.spec", template.spec, gates, machine=True)
    problems += found
    warnings += warned
    problems += check_labels("spec.template.metadata.labels", template.metadata.labels)
    problems += check_annotations("spec.template.metadata.annotations", template.metadata.annotations, gates)
    found, warned = _data_volume_templates(vm, old, version)
    problems += found
    warnings += warned
    return problems, warnings


def check_busy(vm: VirtualMachine, old: VirtualMachine) -> list[Problem]:
    """What of the specification has to stay while a snapshot is taken or a restore goes on."""
    restore, snapshot = vm.status.restore_in_progress, vm.status.snapshot_in_progress
    was, now = old.spec, vm.spec
    runs_otherwise = (was.running, was.run_strategy) != (now.running, now.run_strategy)
    message = ""
    if snapshot is not None and _volumes(was) != _volumes(now):
        message = f'Cannot update vm disks or volumes until snapshot "{snapshot}" completes'
    elif snapshot is not None and runs_otherwise:
        message = f'Cannot update vm running state until snapshot "{snapshot}" completes'
    elif restore is not None and runs_otherwise:
        message = f'Cannot update VM runStrategy until restore "{restore}" completes'
    return [Problem("spec", Reason.NOT_SUPPORTED, message)] if message else []


def _volumes(spec: VirtualMachineSpec) -> Any:
    return msgspec.to_builtins(spec.template.spec.volumes) if spec.template.spec is not None else []


def machine_warnings(obj: dict[str, Any], vm: VirtualMachine) -> list[str]:
    """What is allowed but probably not meant, and what is going away."""
    warnings = []
    if vm.spec.running is not None:
        warnings.append("spec.running is deprecated, please use spec.runStrategy instead.")
    return [*warnings, *_metadata_slips(obj)]


def _metadata_slips(obj: dict[str, Any]) -> list[str]:
    """Misspelt metadata: the API server drops it before we see it, but `kubectl apply` keeps what it was given."""
    text = ((obj.get("metadata") or {}).get("annotations") or {}).get(_LAST_APPLIED)
    try:
        applied = json.loads(text)["metadata"] if text else {}
    except (ValueError, KeyError, TypeError):
        return []
    return [
        f"metadata.{slip} is not a field and was ignored: did you mean metadata.{name}?"
        for slip, name in _METADATA_SLIPS.items()
        if isinstance(applied, dict) and slip in applied
    ]


def _strategy(spec: VirtualMachineSpec) -> list[Problem]:
    problems = []
    if spec.running is not None and spec.run_strategy is not None:
        message = (
            "Running and RunStrategy are mutually exclusive. "
            "Note that Running is deprecated, please use RunStrategy instead"
        )
        problems.append(Problem("spec.running", Reason.INVALID, message))
    if spec.running is None and spec.run_strategy is None:
        problems.append(Problem("spec.running", Reason.INVALID, "RunStrategy must be specified"))
    if spec.run_strategy is not None and spec.run_strategy not in _STRATEGIES:
        problems.append(Problem("spec.runStrategy", Reason.INVALID, f"Invalid RunStrategy ({spec.run_strategy})"))
    return problems


def _data_volume_templates(
    vm: VirtualMachine, old: VirtualMachine | None, version: str
) -> tuple[list[Problem], list[str]]:
    """Each template has one source and a claim, and a volume uses it.

    An unused template is refused in v1. Manifests of v1alpha3 are older than that rule: they get a warning, and a
    machine that has such a template already may keep it.
    """
    problems: list[Problem] = []
    warnings: list[str] = []
    spec = vm.spec.template.spec
    volumes = spec.volumes if spec is not None else []
    used = {volume.data_volume.name for volume in volumes if volume.data_volume is not None}
    used |= {
        volume.persistent_volume_claim.claim_name for volume in volumes if volume.persistent_volume_claim is not None
    }
    kept = [msgspec.to_builtins(template) for template in old.spec.data_volume_templates] if old is not None else []
    for index, template in enumerate(vm.spec.data_volume_templates):
        here = f"spec.dataVolumeTemplate[{index}]"
        elsewhere = _elsewhere(vm, index, template)
        wrong = _data_volume(here, template)
        problems += elsewhere + wrong
        name = template.metadata.name
        if wrong or name in used:
            continue
        message = f"DataVolumeTemplate entry {here} must be referenced in the VMI template's 'volumes' list"
        if version == OLD_VERSION or msgspec.to_builtins(template) in kept:
            warnings.append(f"{message}: no volume uses {name!r}")
        else:
            problems.append(Problem(here, Reason.REQUIRED, message))
    return problems, warnings


def _elsewhere(vm: VirtualMachine, index: int, template: DataVolumeTemplateSpec) -> list[Problem]:
    namespace = template.metadata.namespace
    if not namespace or not vm.metadata.namespace or namespace == vm.metadata.namespace:
        return []
    message = f"Embedded DataVolume namespace {namespace} differs from VM namespace {vm.metadata.namespace}"
    return [Problem(f"spec.dataVolumeTemplates[{index}]", Reason.INVALID, message)]


def _data_volume(here: str, template: DataVolumeTemplateSpec) -> list[Problem]:
    """The first thing that is wrong with a template.

    A claim that names what fills it (`dataSource`, `dataSourceRef`) is filled by somebody else: it has no source here.
    """
    if not template.metadata.name:
        message = f"'name' field must not be empty for DataVolumeTemplate entry {here}."
        return [Problem(f"{here}.name", Reason.REQUIRED, message)]
    spec = template.spec
    claim = spec.pvc if spec.pvc is not None else spec.storage
    field, message = f"{here}.source", ""
    if claim is None:
        field, message = f"{here}.PVC.Storage", "Missing Data volume PVC or Storage"
    elif spec.pvc is not None and spec.storage is not None:
        message = "Duplicate storage definition, both target storage and target pvc defined"
        field = f"{here}.PVC.Storage"
    elif claim.data_source is not None or claim.data_source_ref is not None:
        if spec.source is not None or spec.source_ref is not None:
            message = "External population is incompatible with Source and SourceRef"
    elif spec.source is None and spec.source_ref is None:
        message = "Data volume should have either Source, SourceRef, or be externally populated"
        field = f"{here}.source.sourceRef"
    elif spec.source is not None and not _given(spec.source):
        message = "Missing dataVolume valid source"
    elif spec.source is not None and len(_given(spec.source)) > 1:
        message = "Multiple dataVolume sources"
    return [Problem(field, Reason.INVALID, message)] if message else []


def _given(source: DataVolumeSource) -> list[str]:
    return [name for name in source.__struct_fields__ if getattr(source, name) is not None]
