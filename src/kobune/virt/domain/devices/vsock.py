"""The vsock device; virt-controller assigns its context id in the VMI's status."""

from kobune.virt.domain.devices.model import virtio_model
from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<vsock>`, when asked for and assigned."""
    cid = source.vmi.status.vsock_cid
    if source.vmi.spec.domain.devices.autoattach_vsock and cid:
        element = add(domain.devices, "vsock", model=virtio_model(source))
        add(element, "cid", auto="no", address=str(cid))
