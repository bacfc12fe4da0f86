"""A watchdog that acts when the guest stops feeding it."""

from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<watchdog>`."""
    wanted = source.vmi.spec.domain.devices.watchdog
    if wanted is not None and wanted.i6300esb is not None:
        element = add(domain.devices, "watchdog", model="i6300esb", action=wanted.i6300esb.action or "reset")
        add(element, "alias", name=f"ua-{wanted.name}")
