"""USB devices of a client, redirected into the guest: sockets on which QEMU speaks usbredir, one per device."""

from kobune.virt.domain.document import Domain, DomainSource, add
from kobune.virt.domain.paths import PRIVATE, USB_REDIRECTION_SLOTS, USB_REDIRECTION_SOCKET

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<redirdev>`, as many as there are slots, when `clientPassthrough` is asked for."""
    if source.vmi.spec.domain.devices.client_passthrough is None:
        return
    for slot in range(USB_REDIRECTION_SLOTS):
        element = add(domain.devices, "redirdev", bus="usb", type="unix")
        add(element, "source", mode="bind", path=f"{PRIVATE}/{USB_REDIRECTION_SOCKET}{slot}")
        add(element, "alias", name=f"ua-usbredir-{slot}")
