"""Controllers: the PCIe root with free ports for hot-plug, SCSI, SATA, USB and virtio-serial."""

from kobune.virt.domain.devices.model import virtio_model
from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["FREE_PORTS", "ROOT_PORTS", "configure"]

FREE_PORTS = 4
"""Root ports that stay free for disks and interfaces plugged in later."""

ROOT_PORTS = 8
"""Devices that every guest has on a port of its own: SCSI, serial, balloon, rng, graphics and a few to spare."""


def configure(source: DomainSource, domain: Domain) -> None:
    """`<controller>`."""
    devices = source.vmi.spec.domain.devices
    hotplug = devices.disable_hotplug is not True
    virtio_disks = sum(1 for d in devices.disks if d.disk is not None and (d.disk.bus or "virtio") == "virtio")
    if hotplug:
        add(domain.devices, "controller", type="pci", index="0", model="pcie-root")
        for index in range(1, 1 + ROOT_PORTS + FREE_PORTS + virtio_disks + len(devices.interfaces)):
            add(domain.devices, "controller", type="pci", index=str(index), model="pcie-root-port")
    scsi = any(t is not None and t.bus == "scsi" for d in devices.disks for t in (d.disk, d.cdrom, d.lun))
    if scsi or hotplug:
        # Disks are plugged in later as SCSI, as KubeVirt does by default.
        add(domain.devices, "controller", type="scsi", index="0", model=virtio_model(source))
    usb = any(i.bus in (None, "usb") for i in devices.inputs) or any(
        t is not None and t.bus == "usb" for d in devices.disks for t in (d.disk, d.cdrom)
    )
    usb = usb or devices.autoattach_input_device is True
    add(domain.devices, "controller", type="usb", index="0", model="qemu-xhci" if usb else "none")
    add(domain.devices, "controller", type="virtio-serial", index="0", model=virtio_model(source))
