"""VirtualMachineInstances as a whole, when they are created and when they change."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.check import Findings
from kobune.virt.admission.validation.compute import check_compute
from kobune.virt.admission.validation.credentials import check_credentials
from kobune.virt.admission.validation.disks import check_disks
from kobune.virt.admission.validation.guest import check_devices_of_instance, check_guest
from kobune.virt.admission.validation.hotplug import check_plugging
from kobune.virt.admission.validation.hyperv import check_hyperv
from kobune.virt.admission.validation.live_memory import check_live_update
from kobune.virt.admission.validation.networks import check_networks, check_plugged_networks
from kobune.virt.admission.validation.placement import check_placement
from kobune.virt.admission.validation.volumes import check_volumes
from kobune.virt.domain.unsupported import unsupported_spec

__all__ = ["check_annotations", "check_instance", "check_instance_update", "check_labels", "check_spec"]

RESERVED_LABELS: Final = frozenset(
    f"kubevirt.io/{name}"
    for name in (
        "created-by",
        "migrationJobUID",
        "nodeName",
        "migrationTargetNodeName",
        "install-strategy-identifier",
        "schedulable",
    )
)
IGNITION_ANNOTATION: Final = "kubevirt.io/ignitiondata"
SIDECAR_ANNOTATION: Final = "hooks.kubevirt.io/hookSidecars"


def check_spec(
    path: str, spec: VirtualMachineInstanceSpec, gates: frozenset[str], *, machine: bool = False
) -> tuple[list[Problem], list[str]]:
    """Problems and warnings of a specification at `path`; a `machine`'s can grow while its guest runs.

    What Kobune cannot do yet is looked at last: a manifest that is wrong anyway is told so first.
    """
    findings = Findings(gates)
    check_disks(findings, path, spec)
    check_volumes(findings, path, spec)
    check_networks(findings, path, spec)
    check_compute(findings, path, spec)
    check_guest(findings, path, spec)
    check_placement(findings, path, spec)
    check_credentials(findings, path, spec)
    check_live_update(findings, path, spec, machine=machine)
    if findings.problems:
        return findings.problems, []
    warnings: list[str] = []
    for item in unsupported_spec(spec, path):
        if item.harmless:
            warnings.append(f"{item.field}: {item.reason}; the guest runs without it")
        else:
            findings.add(item.field, f"{item.field}: {item.reason}", Reason.NOT_SUPPORTED)
    return findings.problems, warnings


def check_labels(path: str, labels: Mapping[str, str]) -> list[Problem]:
    """Labels that only Kobune's own components set."""
    if not RESERVED_LABELS.isdisjoint(labels):
        message = "creation of the following reserved kubevirt.io/ labels on a VMI object is prohibited"
        return [Problem(path, Reason.NOT_SUPPORTED, message)]
    return []


def check_annotations(path: str, annotations: Mapping[str, str], gates: frozenset[str]) -> list[Problem]:
    """Annotations that need a feature gate."""
    problems = []
    if annotations.get(SIDECAR_ANNOTATION) and "Sidecar" not in gates:
        message = f"sidecar feature gate is not enabled in kubevirt-config, invalid entry {path}.{SIDECAR_ANNOTATION}"
        problems.append(Problem(path, Reason.INVALID, message))
    if annotations.get(IGNITION_ANNOTATION) and "ExperimentalIgnitionSupport" not in gates:
        message = (
            "ExperimentalIgnitionSupport feature gate is not enabled in kubevirt-config, "
            f"invalid entry {path}.{IGNITION_ANNOTATION}"
        )
        problems.append(Problem(path, Reason.INVALID, message))
    return problems


def check_instance(
    vmi: VirtualMachineInstance, gates: frozenset[str], *, by_component: bool
) -> tuple[list[Problem], list[str]]:
    """A VirtualMachineInstance that is being created."""
    problems, warnings = check_spec("spec", vmi.spec, gates)
    own = Findings(gates)
    check_devices_of_instance(own, "spec", vmi.spec.domain.devices)
    check_hyperv(own, "spec", vmi.spec)
    if not _has_memory(vmi.spec):
        message = (
            "no memory requested, at least one of 'spec.domain.memory.guest', 'spec.domain.memory.hugepages.size' or "
            "'spec.domain.resources.requests.memory' must be set"
        )
        own.required("", message)
    problems = problems + own.problems
    if not by_component:
        problems = problems + check_labels("metadata.labels", vmi.metadata.labels)
    return problems + check_annotations("metadata.annotations", vmi.metadata.annotations, gates), warnings


def _has_memory(spec: VirtualMachineInstanceSpec) -> bool:
    memory, resources = spec.domain.memory, spec.domain.resources
    if resources is not None and resources.requests.get("memory"):
        return True
    return memory is not None and (memory.guest is not None or memory.hugepages is not None)


def check_instance_update(
    old: VirtualMachineInstance, new: VirtualMachineInstance, *, by_component: bool
) -> list[Problem]:
    """People may change labels and annotations of an instance, but not what runs; components plug volumes."""
    if by_component:
        return check_plugging(old, new) or check_plugged_networks(old, new)
    if _builtins(old.spec) != _builtins(new.spec):
        return [Problem("", Reason.NOT_SUPPORTED, "update of VMI object is restricted")]
    for name in RESERVED_LABELS:
        if old.metadata.labels.get(name) != new.metadata.labels.get(name):
            message = "modification of the following reserved kubevirt.io/ labels on a VMI object is prohibited"
            return [Problem("", Reason.NOT_SUPPORTED, message)]
    return []


def _builtins(spec: VirtualMachineInstanceSpec) -> Any:
    return msgspec.to_builtins(spec)
