"""Controllers: the PCIe root with free ports for hot-plug, SCSI, SATA, USB and virtio-serial."""

from typing import Final

from kobune.api.kubevirt import Devices
from kobune.api.kubevirt.domain import DomainSpec
from kobune.base.quantity import to_bytes
from kobune.virt.domain.devices.host_device import has_usb
from kobune.virt.domain.devices.model import virtio_model
from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure", "root_ports"]

SMALL_GUEST_BYTES: Final = 2 << 30
SMALL: Final = (8, 3)
LARGE: Final = (16, 6)
"""Root ports in all, and free ones, at the least: KubeVirt's third PCI topology. A guest looks at each of them when it
boots, which a small one under emulation feels."""


def configure(source: DomainSource, domain: Domain) -> None:
    """`<controller>`."""
    devices = source.vmi.spec.domain.devices
    hotplug = devices.disable_hotplug is not True
    usb = _has_usb(devices) or has_usb(source)
    scsi = any(t is not None and t.bus == "scsi" for d in devices.disks for t in (d.disk, d.cdrom, d.lun))
    if hotplug:
        add(domain.devices, "controller", type="pci", index="0", model="pcie-root")
        for index in range(1, 1 + root_ports(source.vmi.spec.domain)):
            add(domain.devices, "controller", type="pci", index=str(index), model="pcie-root-port")
    if scsi or hotplug:
        # Disks are plugged in later as SCSI, as KubeVirt does by default.
        add(domain.devices, "controller", type="scsi", index="0", model=virtio_model(source))
    add(domain.devices, "controller", type="usb", index="0", model="qemu-xhci" if usb else "none")
    add(domain.devices, "controller", type="virtio-serial", index="0", model=virtio_model(source))


def root_ports(spec: DomainSpec) -> int:
    """How many PCIe root ports a guest has: its own devices', and free ones for what is plugged in later."""
    guest = spec.memory.guest if spec.memory is not None else None
    total, free = LARGE if guest is not None and to_bytes(guest) > SMALL_GUEST_BYTES else SMALL
    return max(total, _occupied(spec.devices) + free)


def _occupied(devices: Devices) -> int:
    """Devices on a port of their own: SCSI and virtio-serial, which every guest has, and those that it asks for."""
    asked = (
        devices.autoattach_mem_balloon is not False,
        devices.rng is not None,
        _has_usb(devices),
        devices.video is not None and devices.video.type == "virtio",
        devices.autoattach_vsock is True,
        devices.sound is not None,
        # A watchdog is a PCI device: a port with a bridge.
        devices.watchdog is not None,
    )
    virtio_disks = sum(1 for d in devices.disks if d.disk is not None and (d.disk.bus or "virtio") == "virtio")
    inputs = sum(1 for i in devices.inputs if i.bus == "virtio")
    others = (devices.interfaces, devices.filesystems, devices.gpus, devices.host_devices)
    return 2 + sum(asked) + virtio_disks + inputs + sum(len(kind) for kind in others)


def _has_usb(devices: Devices) -> bool:
    usb = any(i.bus in (None, "usb") for i in devices.inputs) or any(
        t is not None and t.bus == "usb" for d in devices.disks for t in (d.disk, d.cdrom)
    )
    return usb or devices.autoattach_input_device is True or devices.client_passthrough is not None
