"""The memory balloon: gives memory statistics of the guest, unless `autoattachMemBalloon` is false."""

from kobune.virt.domain.devices.model import virtio_model
from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]

STATISTICS_PERIOD_S = 10


def configure(source: DomainSource, domain: Domain) -> None:
    """`<memballoon>`; without one libvirt would add its own."""
    if source.vmi.spec.domain.devices.autoattach_mem_balloon is False:
        add(domain.devices, "memballoon", model="none")
        return
    element = add(domain.devices, "memballoon", model=virtio_model(source), freePageReporting="on")
    add(element, "stats", period=str(STATISTICS_PERIOD_S))
