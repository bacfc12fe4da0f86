"""Panic devices, by which the guest tells that it crashed."""

from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<panic>`."""
    for wanted in source.vmi.spec.domain.devices.panic_devices:
        # libvirt knows the PCI variant from 9.1 on; the ISA one tells the same by the same driver.
        model = "isa" if wanted.model in (None, "pvpanic") else wanted.model
        add(domain.devices, "panic", model=model)
