"""Guest memory and how it is backed."""

from kobune.api.kubevirt.domain import DomainSpec
from kobune.base.quantity import QuantityError, parse_quantity, to_bytes
from kobune.virt.domain.document import Domain, DomainSource, InvalidSpec, add

__all__ = ["configure", "guest_memory_bytes"]

_MIB = 1024 * 1024


def guest_memory_bytes(spec: DomainSpec) -> int:
    """What the guest sees: `memory.guest`, else the memory request, else its limit; whole MiB, rounded down.

    Raises InvalidSpec when none of them is given or it is less than one MiB.
    """
    resources = spec.resources
    candidates = (
        ("spec.domain.memory.guest", spec.memory.guest if spec.memory is not None else None),
        ("spec.domain.resources.requests.memory", resources.requests.get("memory") if resources is not None else None),
        ("spec.domain.resources.limits.memory", resources.limits.get("memory") if resources is not None else None),
    )
    for field, quantity in candidates:
        if quantity is None:
            continue
        try:
            size = to_bytes(quantity)
        except QuantityError as error:
            raise InvalidSpec(field, str(error)) from error
        if size < _MIB:
            raise InvalidSpec(field, f"{quantity} is less than 1Mi")
        return size // _MIB * _MIB
    raise InvalidSpec("spec.domain.memory.guest", "how much memory the guest gets is not said")


def configure(source: DomainSource, domain: Domain) -> None:
    """`<memory>` and `<memoryBacking>`."""
    spec = source.vmi.spec.domain
    domain.top("memory", str(guest_memory_bytes(spec) // 1024), unit="KiB")
    backing = domain.section("memoryBacking")
    if spec.memory is not None and spec.memory.hugepages is not None and spec.memory.hugepages.page_size:
        size_kib = int(parse_quantity(spec.memory.hugepages.page_size)) // 1024
        add(add(backing, "hugepages"), "page", size=str(size_kib), unit="KiB")
    if spec.devices.filesystems:
        # Another process reads and writes the guest's memory: the one that serves the files.
        add(backing, "source", type="memfd")
        add(backing, "access", mode="shared")
