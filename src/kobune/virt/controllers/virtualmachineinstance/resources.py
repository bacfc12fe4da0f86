"""What a launcher pod asks of its node: the guest's memory and CPUs, and what libvirt and QEMU need beside them.

How much that is beside the guest's memory is `overhead`'s; the shape of requests and limits is KubeVirt's.
"""

from decimal import Decimal
from typing import Final

from kobune.api.kubevirt import VirtualMachineInstanceSpec
from kobune.api.meta import QuantityValue
from kobune.base.quantity import format_quantity, to_bytes
from kobune.virt.controllers.virtualmachineinstance.overhead import guest_memory_bytes, memory_overhead_bytes, vcpus

__all__ = ["KVM_DEVICE", "launcher_resources"]

KVM_DEVICE: Final = "devices.kubevirt.io/kvm"
CPU_ALLOCATION_RATIO: Final = 10
EPHEMERAL_STORAGE: Final = "50M"

Quantities = dict[str, QuantityValue]


def launcher_resources(
    spec: VirtualMachineInstanceSpec, *, devices: Quantities, more_bytes: int = 0
) -> dict[str, Quantities]:
    """`requests` and `limits` of the container `compute`; `devices` are extended resources to add.

    `more_bytes` is memory that somebody else's part needs there.
    """
    asked = spec.domain.resources
    requests: Quantities = dict(asked.requests) if asked is not None else {}
    limits: Quantities = dict(asked.limits) if asked is not None else {}
    dedicated = _is_dedicated(spec)
    kvm = KVM_DEVICE in devices
    overhead = 0 if asked is not None and asked.overcommit_guest_overhead else memory_overhead_bytes(spec, kvm=kvm)
    overhead += more_bytes

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


def _more_storage(asked: QuantityValue | None) -> QuantityValue:
    if asked is None:
        return EPHEMERAL_STORAGE
    return str(to_bytes(asked) + to_bytes(EPHEMERAL_STORAGE))


def _binary(amount: int) -> str:
    return format_quantity(amount, binary=True)
