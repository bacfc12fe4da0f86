"""Pins virtual CPUs to the host's CPUs that the pod has for itself.

Which these are is the kubelet's decision (its static CPU policy); the launcher sees them as its own affinity.
"""

from kobune.api.kubevirt.domain import CPU
from kobune.virt.domain.cpu import topology
from kobune.virt.domain.document import Domain, DomainSource, InvalidSpec, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<cputune>`, when `dedicatedCpuPlacement` is asked for; the last CPU is QEMU's own when it is to be isolated."""
    cpu = source.vmi.spec.domain.cpu or CPU()
    if not cpu.dedicated_cpu_placement:
        return
    vcpus = topology(source.vmi.spec.domain).max_vcpus
    needed = vcpus + (1 if cpu.isolate_emulator_thread else 0)
    if len(source.cpus) < needed:
        raise InvalidSpec(
            "spec.domain.cpu.dedicatedCpuPlacement",
            f"the pod has {len(source.cpus)} CPUs of its own, {needed} are needed",
        )
    tune = domain.section("cputune")
    for vcpu in range(vcpus):
        add(tune, "vcpupin", vcpu=str(vcpu), cpuset=str(source.cpus[vcpu]))
    if cpu.isolate_emulator_thread:
        add(tune, "emulatorpin", cpuset=str(source.cpus[vcpus]))
