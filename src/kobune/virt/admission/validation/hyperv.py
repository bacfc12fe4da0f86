"""Hyper-V enlightenments that are built on others. Source: KubeVirt's rules, which are QEMU's."""

from typing import Final

import msgspec

from kobune.api.kubevirt import VirtualMachineInstanceSpec
from kobune.virt.admission.validation.check import Findings

__all__ = ["HYPERV_NEEDS", "check_hyperv"]

HYPERV_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "synictimer": ("synic",),
    "synic": ("vpindex",),
    "tlbflush": ("vpindex",),
    "ipi": ("vpindex",),
    "evmcs": ("vapic",),
}
"""An enlightenment and those that it needs."""


def check_hyperv(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    """That nothing is wanted whose foundation was turned off; what was left open, defaults have turned on."""
    features = spec.domain.features
    if features is None or features.hyperv is None:
        return
    hyperv = msgspec.to_builtins(features.hyperv)
    for name, needs in HYPERV_NEEDS.items():
        if not _is_on(hyperv.get(name)):
            continue
        where = f"{path}.domain.features.hyperv"
        for needed in needs:
            if not _is_on(hyperv.get(needed)):
                findings.add(f"{where}.{name}", f"'{where}.{name}' requires '{where}.{needed}', which was disabled.")


def _is_on(feature: dict[str, object] | None) -> bool:
    return feature is not None and feature.get("enabled") is not False
