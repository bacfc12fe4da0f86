"""Randomness from the host."""

from kobune.virt.domain.devices.model import virtio_model
from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<rng>`, when asked for."""
    if source.vmi.spec.domain.devices.rng is not None:
        element = add(domain.devices, "rng", model=virtio_model(source))
        add(element, "backend", "/dev/urandom", model="random")
