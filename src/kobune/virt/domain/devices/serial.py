"""The serial console on a unix socket, with a log of what the guest wrote."""

from kobune.virt.domain.document import Domain, DomainSource, add
from kobune.virt.domain.paths import SERIAL_LOG, SERIAL_SOCKET

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<serial>` and `<console>`, unless `autoattachSerialConsole` is false."""
    devices = source.vmi.spec.domain.devices
    if devices.autoattach_serial_console is False:
        return
    for tag in ("serial", "console"):
        element = add(domain.devices, tag, type="unix")
        add(element, "source", mode="bind", path=SERIAL_SOCKET)
        if devices.log_serial_console is not False:
            add(element, "log", file=SERIAL_LOG, append="on")
        add(element, "target", port="0", type="serial" if tag == "console" else None)
