"""Memory that can grow while the guest runs: what its upper bound needs. Source: KubeVirt's rules."""

from typing import Final

from kobune.api.kubevirt import CPU, Memory, VirtualMachineInstanceSpec
from kobune.virt.admission.validation.check import Findings, number_of

__all__ = ["check_live_update", "why_memory_stays"]

_LIVE_MEMORY_STEP: Final = 2 * 1024 * 1024
_LARGE_LIVE_MEMORY_STEP: Final = 1024**3
_SMALLEST_LIVE_MEMORY: Final = 1024**3
"""Less has no room for what a kernel sets up once, for memory that may come later."""


def check_live_update(findings: Findings, path: str, spec: VirtualMachineInstanceSpec, *, machine: bool) -> None:
    """Upper bounds for memory that grows at run time; a `machine`'s must be usable as well, an instance's may idle."""
    domain = spec.domain
    if domain.memory is None or domain.memory.max_guest is None:
        return
    wrong = why_memory_stays(spec) if machine else ""
    if wrong := wrong or _live_memory(domain.memory):
        findings.add(f"{path}.domain.memory.guest", wrong)


def why_memory_stays(spec: VirtualMachineInstanceSpec) -> str:
    """Why memory cannot grow to its upper bound while the guest runs; empty when it can."""
    domain, architecture = spec.domain, spec.architecture or ""
    cpu, memory = domain.cpu or CPU(), domain.memory or Memory()
    guest = number_of(memory.guest)
    step, word = _step(memory)
    rules = (
        (cpu.realtime is not None, "Memory hotplug is not compatible with realtime VMs"),
        (
            cpu.numa is not None and cpu.numa.guest_mapping_passthrough is not None,
            "Memory hotplug is not compatible with guest mapping passthrough",
        ),
        (domain.launch_security is not None, "Memory hotplug is not compatible with encrypted VMs"),
        (guest is None, "Guest memory must be configured when memory hotplug is enabled"),
        (bool(_live_memory(memory)), _live_memory(memory)),
        (guest is not None and bool(guest % step), f"Guest memory must be {word} aligned"),
        (architecture not in ("", "amd64", "arm64"), "Memory hotplug is only available for x86_64 and arm64 VMs"),
        (guest is not None and guest < _SMALLEST_LIVE_MEMORY, "Memory hotplug requires a guest memory of at least 1Gi"),
    )
    return next((message for applies, message in rules if applies), "")


def _live_memory(memory: Memory) -> str:
    guest, most = number_of(memory.guest), number_of(memory.max_guest)
    step, word = _step(memory)
    if guest is not None and most is not None and guest > most:
        return "Guest memory is greater than the configured maxGuest memory"
    return f"MaxGuest must be {word} aligned" if most is not None and most % step else ""


def _step(memory: Memory) -> tuple[int, str]:
    """The unit in which memory is plugged, as a number of bytes and for people."""
    if memory.hugepages is not None and memory.hugepages.page_size == "1Gi":
        return _LARGE_LIVE_MEMORY_STEP, "1Gi"
    return _LIVE_MEMORY_STEP, "2Mi"
