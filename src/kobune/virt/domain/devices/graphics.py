"""VNC on a unix socket and the video card, unless `autoattachGraphicsDevice` is false."""

from kobune.virt.domain.document import Domain, DomainSource, add
from kobune.virt.domain.paths import VNC_SOCKET

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<graphics>` and `<video>`."""
    devices = source.vmi.spec.domain.devices
    if devices.autoattach_graphics_device is False:
        add(add(domain.devices, "video"), "model", type="none")
        return
    graphics = add(domain.devices, "graphics", type="vnc")
    add(graphics, "listen", type="socket", socket=VNC_SOCKET)
    kind = devices.video.type if devices.video is not None and devices.video.type else "vga"
    # vga is what firmware and every guest can draw on; its memory is in KiB.
    add(add(domain.devices, "video"), "model", type=kind, heads="1", vram="16384" if kind in ("vga", "bochs") else None)
