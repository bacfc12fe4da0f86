"""A sound card that plays to nowhere: the guest has one, nobody hears it."""

from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<sound>`."""
    wanted = source.vmi.spec.domain.devices.sound
    if wanted is not None:
        element = add(domain.devices, "sound", model=wanted.model or "ich9")
        add(element, "alias", name=f"ua-{wanted.name}")
