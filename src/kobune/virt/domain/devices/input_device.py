"""Keyboards, mice and tablets."""

from kobune.virt.domain.document import Domain, DomainSource, InvalidSpec, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<input>`; a PS/2 keyboard and mouse are always there."""
    devices = source.vmi.spec.domain.devices
    for index, wanted in enumerate(devices.inputs):
        field = f"spec.domain.devices.inputs[{index}]"
        bus = wanted.bus or "usb"
        if wanted.type not in ("tablet", "keyboard"):
            raise InvalidSpec(f"{field}.type", f"{wanted.type!r} is not tablet or keyboard")
        if bus not in ("usb", "virtio"):
            raise InvalidSpec(f"{field}.bus", f"{bus!r} is not usb or virtio")
        # libvirt has no transitional flavours of these; virtio input devices came with virtio 1.0.
        element = add(domain.devices, "input", type=wanted.type, bus=bus)
        add(element, "alias", name=f"ua-{wanted.name}")
    if devices.autoattach_input_device and not devices.inputs:
        add(domain.devices, "input", type="tablet", bus="usb")
