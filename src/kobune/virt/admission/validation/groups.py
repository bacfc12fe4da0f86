"""Kinds of the groups beside kubevirt.io: snapshots, restores, clones, exports, pools, instancetypes, policies."""

import json
import re
from typing import Final

from kobune.api.clone import VirtualMachineClone
from kobune.api.export import VirtualMachineExport
from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.api.instancetype.topology import DEPRECATED_TOPOLOGIES, preferred_topology, spread_options
from kobune.api.kubevirt import KubeVirt, VirtualMachine
from kobune.api.migrations import MigrationPolicy
from kobune.api.pool import VirtualMachinePool
from kobune.api.snapshot import VirtualMachineRestore, VirtualMachineSnapshot
from kobune.base.quantity import parse_quantity
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.machine import check_machine
from kobune.virt.admission.validation.others import selects

__all__ = [
    "check_clone",
    "check_export",
    "check_installation",
    "check_instancetype",
    "check_migration_policy",
    "check_pool",
    "check_preference",
    "check_restore",
    "check_snapshot",
    "preference_warnings",
]

KUBEVIRT: Final = "kubevirt.io"
_TOPOLOGIES: Final = (
    *("sockets", "cores", "threads", "spread", "any"),
    *("preferSockets", "preferCores", "preferThreads", "preferSpread", "preferAny"),
)
_ACROSS: Final = ("SocketsCores", "CoresThreads", "SocketsCoresThreads")
_TEMPLATE: Final = "spec.virtualMachineTemplate.spec"


def check_snapshot(snapshot: VirtualMachineSnapshot) -> list[Problem]:
    """Only machines can be kept."""
    return _machine_reference("spec.source", snapshot.spec.source.api_group, snapshot.spec.source.kind)


def check_restore(restore: VirtualMachineRestore) -> list[Problem]:
    """Only machines can be brought back."""
    return _machine_reference("spec.target", restore.spec.target.api_group, restore.spec.target.kind)


def _machine_reference(path: str, group: str | None, kind: str) -> list[Problem]:
    if group != KUBEVIRT:
        return [Problem(f"{path}.apiGroup", Reason.INVALID, "invalid apiGroup: use kubevirt.io")]
    if kind != "VirtualMachine":
        return [Problem(f"{path}.kind", Reason.INVALID, "invalid kind: use VirtualMachine")]
    return []


def check_clone(clone: VirtualMachineClone) -> list[Problem]:
    """Source, target and filters."""
    spec = clone.spec
    problems = []
    if spec.source.kind not in ("VirtualMachine", "VirtualMachineSnapshot"):
        problems.append(Problem("spec.Source.Kind", Reason.INVALID, "Source kind is not supported"))
    if not spec.source.name:
        problems.append(Problem("spec.Source.Name", Reason.INVALID, "Source's name cannot be empty"))
    target = spec.target
    if target is not None:
        if target.kind != "VirtualMachine":
            problems.append(Problem("spec.Target.Kind", Reason.INVALID, "Target kind is not supported"))
        if spec.source.kind == "VirtualMachine" and target.name and target.name == spec.source.name:
            message = "Target name cannot be equal to source name when both are VirtualMachines"
            problems.append(Problem("spec.target.name", Reason.INVALID, message))
    for path, filters in (
        ("spec.labels", spec.label_filters),
        ("spec.annotations", spec.annotation_filters),
        ("spec.template.labels", spec.template.label_filters if spec.template is not None else []),
        ("spec.template.annotations", spec.template.annotation_filters if spec.template is not None else []),
    ):
        problems += [Problem(path, Reason.INVALID, message) for message in map(_filter, filters) if message]
    return problems


def _filter(text: str) -> str:
    """What is wrong with a filter of labels; empty when nothing is."""
    if text == "!":
        return "a negation character is not a valid filter"
    if "!" in text[1:]:
        return "a negation character is allowed at the beginning of a filter only"
    return "a wildcard is allowed at the end of a filter only" if "*" in text[:-1] else ""


def check_export(export: VirtualMachineExport) -> list[Problem]:
    """A claim, a machine or a snapshot, by its name."""
    source = export.spec.source
    names = {
        "PersistentVolumeClaim": "PVC",
        "VirtualMachine": "Virtual Machine",
        "VirtualMachineSnapshot": "VMSnapshot",
    }
    if source.kind not in names:
        return [Problem("spec.source.kind", Reason.INVALID, "invalid kind")]
    if not source.name:
        return [Problem("spec.source.name", Reason.INVALID, f"{names[source.kind]} name must not be empty")]
    return []


def check_pool(
    pool: VirtualMachinePool, gates: frozenset[str], old: VirtualMachinePool | None = None
) -> tuple[list[Problem], list[str]]:
    """The machine's template, that the selector selects it, and the strategies."""
    template = pool.spec.virtual_machine_template
    problems: list[Problem] = []
    warnings: list[str] = []
    if template.spec is not None:
        vm = VirtualMachine(spec=template.spec)
        found, warnings = check_machine(vm, None, version="v1", gates=gates)
        problems = [
            Problem(problem.field.replace("spec", _TEMPLATE, 1), problem.reason, problem.message) for problem in found
        ]
    labels = template.metadata.labels
    if not selects(pool.spec.selector, labels):
        problems.append(Problem("spec.selector", Reason.INVALID, "selector does not match labels."))
    problems += _max_unavailable(pool.spec.max_unavailable)
    if old is not None and old.spec.selector != pool.spec.selector:
        problems.append(Problem("spec.selector", Reason.INVALID, "selector is immutable after creation."))
    strategy = pool.spec.scale_in_strategy
    if strategy is not None:
        named = {
            "unmanaged": strategy.unmanaged,
            "opportunistic": strategy.opportunistic,
            "proactive": strategy.proactive,
        }
        chosen = [name for name, value in named.items() if value is not None]
        if len(chosen) > 1:
            message = f"only one strategy can be configured at a time: but found {', '.join(chosen)} strategies"
            problems.append(Problem("spec.scaleInStrategy", Reason.INVALID, message))
    return problems, warnings


def _max_unavailable(value: int | str | None) -> list[Problem]:
    if value is None:
        return []
    message = ""
    if isinstance(value, int):
        message = "maxUnavailable must be greater than 0" if value <= 0 else ""
    elif not value.endswith("%"):
        message = "maxUnavailable percentage must end with %"
    elif not re.fullmatch(r"[+-]?\d+%", value):
        message = f'maxUnavailable percentage value "{value[:-1]}" is invalid: it is no number'
    elif not 0 < int(value[:-1]) <= 100:
        message = f"maxUnavailable percentage value {int(value[:-1])} must be between 1 and 100"
    return [Problem("spec.maxUnavailable", Reason.INVALID, message)] if message else []


def check_instancetype(spec: VirtualMachineInstancetypeSpec) -> list[Problem]:
    """What the schema cannot say about an instancetype."""
    if spec.memory.hugepages is not None and spec.memory.overcommit_percent:
        message = "spec.memory.overcommitPercent and spec.memory.hugepages should not be requested together."
        return [Problem("spec.memory.overcommitPercent", Reason.INVALID, message)]
    return []


def check_preference(spec: VirtualMachinePreferenceSpec) -> list[Problem]:
    """CPU topologies of a preference."""
    cpu = spec.cpu
    if cpu is None:
        return []
    topology = cpu.preferred_cpu_topology
    if topology and topology not in _TOPOLOGIES:
        message = f"unknown preferredCPUTopology {topology}"
        return [Problem("spec.cpu.preferredCPUTopology", Reason.INVALID, message)]
    if preferred_topology(spec) != "spread":
        return []
    ratio, across = spread_options(spec)
    if across not in _ACROSS:
        return [Problem("spec.cpu.spreadOptions.across", Reason.INVALID, f"across {across} is not supported")]
    if across == "CoresThreads" and ratio != 2:
        message = "only a ratio of 2 (1 core 2 threads) is allowed when spreading vCPUs over cores and threads"
        return [Problem("spec.cpu.spreadOptions.ratio", Reason.INVALID, message)]
    return []


def preference_warnings(spec: VirtualMachinePreferenceSpec) -> list[str]:
    """Words for topologies that are going away."""
    topology = spec.cpu.preferred_cpu_topology if spec.cpu is not None else None
    if topology not in DEPRECATED_TOPOLOGIES:
        return []
    instead = DEPRECATED_TOPOLOGIES[topology]
    return [
        f"PreferredCPUTopology {topology} is deprecated for removal in a future release, please use {instead} instead"
    ]


def check_migration_policy(policy: MigrationPolicy) -> list[Problem]:
    """Limits are not negative."""
    problems = []
    timeout = policy.spec.completion_timeout_per_gib
    if timeout is not None and timeout < 0:
        problems.append(Problem("spec.completionTimeoutPerGiB", Reason.INVALID, "must not be negative"))
    bandwidth = policy.spec.bandwidth_per_migration
    if bandwidth is not None and parse_quantity(bandwidth) < 0:
        problems.append(Problem("spec.bandwidthPerMigration", Reason.INVALID, "must not be negative"))
    return problems


def check_installation(installation: KubeVirt) -> list[Problem]:
    """A KubeVirt resource that is being changed."""
    problems = []
    spec = installation.spec
    customize = spec.customize_components
    for patch in customize.patches if customize is not None else ():
        try:
            json.loads(patch.patch)
        except ValueError:
            problems.append(Problem("", Reason.NOT_SUPPORTED, f'patch "{patch.patch}" is not valid JSON'))
    tls = spec.configuration.tls_configuration if spec.configuration is not None else None
    if tls is not None and tls.ciphers and tls.min_tls_version in (None, "", "VersionTLS13"):
        path = "spec.configuration.tlsConfiguration"
        message = f"You cannot specify ciphers when {path}.minTLSVersion is empty or VersionTLS13"
        problems.append(Problem(f"{path}.ciphers", Reason.NOT_SUPPORTED, message))
    if spec.infra is not None and spec.infra.replicas == 0:
        problems.append(Problem("", Reason.INVALID, "infra replica count can't be 0"))
    return problems
