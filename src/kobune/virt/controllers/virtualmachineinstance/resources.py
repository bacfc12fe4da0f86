"""What a launcher pod asks of its node: the guest's memory and CPUs, and what libvirt and QEMU need beside them.

The figures of the overhead are KubeVirt's, so that quotas and node sizes planned for it keep fitting.
"""

from decimal import ROUND_CEILING, Decimal
from typing import Final

from kobune.api.kubevirt import CPU, VirtualMachineInstanceSpec
from kobune.api.meta import QuantityValue
from kobune.base.quantity import format_quantity, parse_quantity, to_bytes

__all__ = ["guest_memory_bytes", "launcher_resources", "memory_overhead_bytes", "vcpus"]

MIB: Final = 1024 * 1024
BASE_OVERHEAD_MIB: Final = 248
OVERHEAD_PER_VCPU_MIB: Final = 8
GRAPHICS_OVERHEAD_MIB: Final = 32
GUARANTEED_OVERHEAD_MIB: Final = 100
TPM_OVERHEAD_MIB: Final = 53
PAGE_TABLE_RATIO: Final = 512
CPU_ALLOCATION_RATIO: Final = 10
EPHEMERAL_STORAGE: Final = "50M"

Quantities = dict[str, QuantityValue]


def vcpus(spec: VirtualMachineInstanceSpec) -> int:
    """How many virtual CPUs the guest has: by its topology, else by its CPU limit or request, else one."""
    topology = spec.domain.cpu or CPU()
    if topology.sockets or topology.cores or topology.threads:
        return (topology.sockets or 1) * (topology.cores or 1) * (topology.threads or 1)
    resources = spec.domain.resources
    if resources is not None:
        for amounts in (resources.limits, resources.requests):
            if "cpu" in amounts:
                return max(1, int(parse_quantity(amounts["cpu"]).to_integral_value(ROUND_CEILING)))
    return 1


def guest_memory_bytes(spec: VirtualMachineInstanceSpec) -> int:
    """Memory that the guest sees, in bytes; 0 when the spec does not say."""
    if spec.domain.memory is not None and spec.domain.memory.guest is not None:
        return to_bytes(spec.domain.memory.guest)
    resources = spec.domain.resources
    for amounts in (resources.requests, resources.limits) if resources is not None else ():
        if "memory" in amounts:
            return to_bytes(amounts["memory"])
    return 0


def memory_overhead_bytes(spec: VirtualMachineInstanceSpec) -> int:
    """Memory of the launcher pod beyond the guest's, in bytes."""
    devices = spec.domain.devices
    overhead = (BASE_OVERHEAD_MIB + OVERHEAD_PER_VCPU_MIB * vcpus(spec)) * MIB
    if devices.autoattach_graphics_device is not False:
        overhead += GRAPHICS_OVERHEAD_MIB * MIB
    if devices.tpm is not None and devices.tpm.enabled is not False:
        overhead += TPM_OVERHEAD_MIB * MIB
    if _is_guaranteed(spec):
        overhead += GUARANTEED_OVERHEAD_MIB * MIB
    if spec.domain.resources is not None and "memory" in spec.domain.resources.requests:
        overhead += to_bytes(spec.domain.resources.requests["memory"]) // PAGE_TABLE_RATIO
    return overhead


def launcher_resources(spec: VirtualMachineInstanceSpec, *, devices: Quantities) -> dict[str, Quantities]:
    """`requests` and `limits` of the container `compute`; `devices` are extended resources to add."""
    asked = spec.domain.resources
    requests: Quantities = dict(asked.requests) if asked is not None else {}
    limits: Quantities = dict(asked.limits) if asked is not None else {}
    dedicated = _is_dedicated(spec)
    overhead = 0 if asked is not None and asked.overcommit_guest_overhead else memory_overhead_bytes(spec)

    if dedicated:
        requests["cpu"] = limits["cpu"] = str(vcpus(spec))
    elif "cpu" in limits and "cpu" not in requests:
        requests["cpu"] = limits["cpu"]
    elif "cpu" not in requests:
        requests["cpu"] = format_quantity(Decimal(vcpus(spec)) / CPU_ALLOCATION_RATIO)

    guest = guest_memory_bytes(spec)
    hugepages = spec.domain.memory.hugepages if spec.domain.memory is not None else None
    if hugepages is not None:
        limits[f"hugepages-{hugepages.page_size or '2Mi'}"] = _binary(guest)
        requests["memory"] = _binary(overhead)
        if "memory" in limits:
            limits["memory"] = _binary(overhead)
    else:
        if "memory" in limits:
            limits["memory"] = _binary(to_bytes(limits["memory"]) + overhead)
        if "memory" in requests:
            requests["memory"] = _binary(to_bytes(requests["memory"]) + overhead)
        elif "memory" in limits:
            requests["memory"] = limits["memory"]
        else:
            requests["memory"] = _binary(guest + overhead)
        if dedicated:
            limits["memory"] = requests["memory"]

    requests["ephemeral-storage"] = _more_storage(requests.get("ephemeral-storage"))
    limits.update(devices)
    requests.update(devices)
    return {"requests": requests, "limits": limits} if limits else {"requests": requests}


def _is_dedicated(spec: VirtualMachineInstanceSpec) -> bool:
    return spec.domain.cpu is not None and bool(spec.domain.cpu.dedicated_cpu_placement)


def _is_guaranteed(spec: VirtualMachineInstanceSpec) -> bool:
    resources = spec.domain.resources
    if _is_dedicated(spec):
        return True
    return resources is not None and "memory" in resources.limits and "cpu" in resources.limits


def _more_storage(asked: QuantityValue | None) -> QuantityValue:
    if asked is None:
        return EPHEMERAL_STORAGE
    return str(to_bytes(asked) + to_bytes(EPHEMERAL_STORAGE))


def _binary(amount: int) -> str:
    return format_quantity(amount, binary=True)
