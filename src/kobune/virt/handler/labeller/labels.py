"""From what a node's CPU can do to the labels that launcher pods select by. Pure; names are KubeVirt's.

Under TCG every model that libvirt knows runs (what the emulation lacks is left out, as virt/domain/cpu.py renders
it), so that all of them are labelled: a guest must not wait for ever for a CPU that no node without KVM has. A single
feature is promised only where the guest gets it.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from kobune.virt.handler.labeller.documents import NodeCpu

__all__ = ["OBSOLETE_MODELS", "OWNED_PREFIXES", "LabelPolicy", "changed_labels", "node_labels", "vendor_label"]

OBSOLETE_MODELS: Final = frozenset(
    (
        *("486", "pentium", "pentium2", "pentium3", "pentiumpro", "coreduo", "n270", "core2duo", "Conroe"),
        *("athlon", "phenom", "qemu64", "qemu32", "kvm64", "kvm32", "Opteron_G1", "Opteron_G2"),
    )
)
"""Models that KubeVirt offers to nobody unless the installation says otherwise."""

CPU_FEATURE: Final = "cpu-feature.node.kubevirt.io/"
CPU_MODEL: Final = "cpu-model.node.kubevirt.io/"
CPU_MODEL_MIGRATION: Final = "cpu-model-migration.node.kubevirt.io/"
CPU_TIMER: Final = "cpu-timer.node.kubevirt.io/"
CPU_VENDOR: Final = "cpu-vendor.node.kubevirt.io/"
HOST_MODEL: Final = "host-model-cpu.node.kubevirt.io/"
HOST_MODEL_FEATURES: Final = "host-model-required-features.node.kubevirt.io/"
HYPERV: Final = "hyperv.node.kubevirt.io/"
MACHINE_TYPE: Final = "machine-type.node.kubevirt.io/"
TSC_FREQUENCY: Final = "scheduling.node.kubevirt.io/tsc-frequency-"
OBSOLETE_HOST_MODEL: Final = "node-labeller.kubevirt.io/obsolete-host-model"
KSM_ENABLED: Final = "kubevirt.io/ksm-enabled"
SEV: Final = "kubevirt.io/sev"
SEV_ES: Final = "kubevirt.io/sev-es"
REALTIME: Final = "kubevirt.io/realtime"
OWNED_PREFIXES: Final = (
    CPU_FEATURE, CPU_MODEL, CPU_MODEL_MIGRATION, CPU_TIMER, CPU_VENDOR, HOST_MODEL, HOST_MODEL_FEATURES, HYPERV,
    MACHINE_TYPE, TSC_FREQUENCY, OBSOLETE_HOST_MODEL, KSM_ENABLED, SEV, SEV_ES, REALTIME,
)  # fmt: skip
"""Labels that are the labeller's alone: those it does not set any more are taken away."""

ALWAYS: Final = "q35"
"""The machine type of every guest that names none; each QEMU that can run our launcher has it."""
_MACHINE: Final = re.compile(r"q35|pc-q35-(?P<major>\d+)\..*")
_OLDEST_MACHINE: Final = 4
"""Machine types of QEMU 3 and older are deprecated and go away."""
_HYPERV_NAMES: Final = {
    "vpindex": "vpindex", "runtime": "runtime", "synic": "synic", "stimer": "synictimer", "reset": "reset",
    "frequencies": "frequencies", "reenlightenment": "reenlightenment", "tlbflush": "tlbflush", "ipi": "ipi",
}  # fmt: skip
_VENDORS: Final = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}


class LabelPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the installation wants (`spec.configuration`): `minimum_model` empty for any."""

    obsolete: frozenset[str] = OBSOLETE_MODELS
    minimum_model: str = ""


def vendor_label(cpuinfo: str) -> dict[str, str]:
    """The label of the node's own processor, from /proc/cpuinfo."""
    vendor = re.search(r"^vendor_id\s*:\s*(\S+)", cpuinfo, re.MULTILINE)
    if vendor is None or vendor.group(1) not in _VENDORS:
        return {}
    return {f"{CPU_VENDOR}{_VENDORS[vendor.group(1)]}": "true"}


def node_labels(
    cpu: NodeCpu | None, policy: LabelPolicy, *, ksm: bool = False, realtime: bool = False
) -> dict[str, str]:
    """The labels; before libvirt was asked (None), only the default machine type is promised."""
    labels = {f"{MACHINE_TYPE}{ALWAYS}": "true", KSM_ENABLED: "true" if ksm else "false"}
    if realtime:
        labels[REALTIME] = ""
    if cpu is None:
        return labels
    labels |= {f"{CPU_FEATURE}{name}": "true" for name in cpu.features}
    for model in _models(cpu, policy):
        labels[f"{CPU_MODEL}{model}"] = labels[f"{CPU_MODEL_MIGRATION}{model}"] = "true"
    if cpu.host_model:
        labels[f"{HOST_MODEL}{cpu.host_model}"] = "true"
        if cpu.host_model in policy.obsolete:
            labels[OBSOLETE_HOST_MODEL] = "true"
        else:
            labels[f"{CPU_MODEL_MIGRATION}{cpu.host_model}"] = "true"
    if cpu.vendor:
        labels[f"{CPU_VENDOR}{cpu.vendor}"] = "true"
    labels |= {f"{HOST_MODEL_FEATURES}{name}": "true" for name in cpu.required}
    labels |= {f"{MACHINE_TYPE}{name}": "true" for name in cpu.machines if _is_offered(name)}
    if cpu.kvm:
        labels |= {f"{HYPERV}{_HYPERV_NAMES[name]}": "true" for name in cpu.hyperv if name in _HYPERV_NAMES}
        if {"relaxed", "vapic"} <= set(cpu.hyperv):
            labels[f"{HYPERV}base"] = "true"
    if cpu.tsc_frequency_hz:
        labels[f"{CPU_TIMER}tsc-frequency"] = str(cpu.tsc_frequency_hz)
        labels[f"{CPU_TIMER}tsc-scalable"] = "true" if cpu.tsc_scalable else "false"
        labels[f"{TSC_FREQUENCY}{cpu.tsc_frequency_hz}"] = "true"
    if cpu.sev:
        labels[SEV] = ""
    if cpu.sev_es:
        labels[SEV_ES] = ""
    return labels


def changed_labels(present: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str | None]:
    """What a merge patch has to say: new values, and null for labels of ours that no longer hold."""
    gone: dict[str, str | None] = {
        name: None for name in present if name.startswith(OWNED_PREFIXES) and name not in wanted
    }
    return gone | {name: value for name, value in wanted.items() if present.get(name) != value}


def _models(cpu: NodeCpu, policy: LabelPolicy) -> list[str]:
    """Models that guests may ask for here."""
    have = set(cpu.features)
    least = set(cpu.model_features.get(policy.minimum_model, ())) if policy.minimum_model else set()
    found = []
    for model in cpu.usable if cpu.kvm else cpu.known:
        needed = cpu.model_features.get(model)
        if model in policy.obsolete or needed is None or not least <= set(needed):
            continue
        # libvirt calls a model usable that QEMU can start; a guest is promised all that libvirt's map says of it.
        if cpu.kvm and model != cpu.host_model and not set(needed) <= have:
            continue
        found.append(model)
    return found


def _is_offered(machine: str) -> bool:
    match = _MACHINE.fullmatch(machine)
    return match is not None and (match["major"] is None or int(match["major"]) >= _OLDEST_MACHINE)
