"""Pools, instancetypes, preferences, migration policies and presets."""

import re
from typing import Final

from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.api.instancetype.topology import DEPRECATED_TOPOLOGIES, preferred_topology, spread_options
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstancePreset
from kobune.api.migrations import MigrationPolicy
from kobune.api.pool import VirtualMachinePool
from kobune.base.quantity import parse_quantity
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.check import Findings
from kobune.virt.admission.validation.compute import check_boot
from kobune.virt.admission.validation.disks import check_disk_fields
from kobune.virt.admission.validation.machine import check_machine
from kobune.virt.admission.validation.others import selects

__all__ = [
    "check_instancetype",
    "check_migration_policy",
    "check_pool",
    "check_preference",
    "check_preset",
    "instancetype_warnings",
    "preference_warnings",
]

_TOPOLOGIES: Final = (
    *("sockets", "cores", "threads", "spread", "any"),
    *("preferSockets", "preferCores", "preferThreads", "preferSpread", "preferAny"),
)
_ACROSS: Final = ("SocketsCores", "CoresThreads", "SocketsCoresThreads")
_TEMPLATE: Final = "spec.virtualMachineTemplate.spec"


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


def instancetype_warnings(spec: VirtualMachineInstancetypeSpec) -> list[str]:
    """Words for fields that are going away."""
    if spec.launch_security is None:
        return []
    return ["launchSecurity is deprecated and will be removed in a future release. Use preference instead."]


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


def check_preset(preset: VirtualMachineInstancePreset) -> list[Problem]:
    """A preset sets something, and its disks and firmware are right in themselves."""
    domain = preset.spec.domain if preset.spec is not None else None
    if domain is None:
        return [Problem("spec.domain", Reason.REQUIRED, "missing domain.")]
    findings = Findings()
    check_disk_fields(findings, "spec.domain.devices.disks", domain.devices.disks)
    check_boot(findings, "spec.domain.firmware", domain.firmware)
    return findings.problems
