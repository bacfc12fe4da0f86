"""Panic devices, by which the guest tells that it crashed."""

from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<panic>`."""
    for wanted in source.vmi.spec.domain.devices.panic_devices:
        add(domain.devices, "panic", model=wanted.model or "pvpanic")
