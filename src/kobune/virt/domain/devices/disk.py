"""Disks, CD-ROMs and LUNs."""

from collections.abc import Collection, Sequence
from itertools import count

from kobune.api.kubevirt.devices import CDRomTarget, Disk, DiskTarget, LunTarget
from kobune.virt.domain.cpu import topology
from kobune.virt.domain.devices.model import virtio_model
from kobune.virt.domain.devices.pci import pci_address
from kobune.virt.domain.document import DiskSource, Domain, DomainSource, Element, InvalidSpec, add
from kobune.virt.domain.iothreads import disk_threads

__all__ = ["bus_of", "configure", "disk_element", "free_target", "target_names"]

_PREFIX = {"virtio": "vd", "sata": "sd", "scsi": "sd", "usb": "sd", "fdc": "fd"}


def configure(source: DomainSource, domain: Domain) -> None:
    """`<disk>`, in the order of `spec.domain.devices.disks`."""
    names = target_names(source.vmi.spec.domain.devices.disks)
    for index, disk in enumerate(source.vmi.spec.domain.devices.disks):
        domain.devices.append(disk_element(source, index, names.get(disk.name, "")))


def disk_element(source: DomainSource, index: int, target_name: str) -> Element:
    """One `<disk>`, by its place in the specification, as `target_name` (`sda`). Raises InvalidSpec."""
    disk = source.vmi.spec.domain.devices.disks[index]
    field = f"spec.domain.devices.disks[{index}]"
    place = source.disks.get(disk.name)
    if place is None:
        raise InvalidSpec(f"{field}.name", f"there is no volume {disk.name!r} that can be a disk")
    device, target = _target(disk)
    bus = bus_of(disk)
    if bus not in _PREFIX:
        raise InvalidSpec(f"{field}.{'cdrom' if device == 'cdrom' else 'disk'}.bus", f"{bus!r} is not a bus")
    if device == "lun" and not place.block:
        raise InvalidSpec(f"{field}.lun", f"volume {disk.name!r} is not a block device, which SCSI commands need")
    element = Element("disk", type="block" if place.block else "file", device=device)
    if bus == "virtio":
        element.set("model", virtio_model(source))
    _driver(source, disk, bus, place, element)
    add(element, "source", **({"dev": place.path} if place.block else {"file": place.path}))
    _backing(place.backing, element)
    tray = target.tray if isinstance(target, CDRomTarget) else None
    add(element, "target", dev=target_name, bus=bus, tray=tray)
    if device == "cdrom" or target.readonly or place.read_only:
        add(element, "readonly")
    if disk.shareable:
        add(element, "shareable")
    if disk.serial:
        add(element, "serial", disk.serial)
    if disk.boot_order:
        add(element, "boot", order=str(disk.boot_order))
    _block_size(disk, place, element, field)
    if isinstance(target, DiskTarget) and target.pci_address:
        pci_address(target.pci_address, element, f"{field}.disk.pciAddress")
    add(element, "alias", name=f"ua-{disk.name}")
    return element


def free_target(bus: str, taken: Collection[str]) -> str:
    """The first target of a bus that no disk has."""
    prefix = _PREFIX[bus]
    return next(name for index in count() if (name := prefix + _letters(index)) not in taken)


def target_names(disks: Sequence[Disk]) -> dict[str, str]:
    """The target (`vda`, `sda`, ...) of each disk by its volume; disks on a bus that there is not have none."""
    used: dict[str, int] = {}
    names: dict[str, str] = {}
    for disk in disks:
        prefix = _PREFIX.get(bus_of(disk))
        if prefix is not None:
            names[disk.name] = prefix + _letters(used.get(prefix, 0))
            used[prefix] = used.get(prefix, 0) + 1
    return names


def bus_of(disk: Disk) -> str:
    """The bus that a disk is on, with defaults."""
    device, target = _target(disk)
    return target.bus or {"cdrom": "sata", "lun": "scsi"}.get(device, "virtio")


def _target(disk: Disk) -> tuple[str, DiskTarget | CDRomTarget | LunTarget]:
    if disk.cdrom is not None:
        return "cdrom", disk.cdrom
    if disk.lun is not None:
        return "lun", disk.lun
    return "disk", disk.disk or DiskTarget()


def _driver(source: DomainSource, disk: Disk, bus: str, place: DiskSource, element: Element) -> None:
    read_only = place.read_only or disk.cdrom is not None
    queues = None
    if source.vmi.spec.domain.devices.block_multi_queue and bus == "virtio":
        queues = str(topology(source.vmi.spec.domain).vcpus)
    thread = disk_threads(source).get(disk.name)
    error_policy = disk.error_policy or "stop"
    # Writes must be on the disk when the guest is told so; the page cache in between is safe with writethrough or
    # writeback, and O_DIRECT is not possible on every file system a pod may have. Native I/O is O_DIRECT.
    add(
        element,
        "driver",
        name="qemu",
        type=place.format,
        cache=disk.cache or ("none" if disk.io == "native" else "writeback"),
        io=disk.io if disk.io in ("native", "threads") else None,
        error_policy=error_policy,
        discard=None if read_only else "unmap",
        queues=queues,
        iothread=None if thread is None else str(thread),
    )


def _backing(place: DiskSource | None, element: Element) -> None:
    """The whole chain is spelled out, so that libvirt never probes what an image claims about itself."""
    if place is None:
        add(element, "backingStore")
        return
    backing = add(element, "backingStore", type="block" if place.block else "file")
    add(backing, "format", type=place.format)
    add(backing, "source", **({"dev": place.path} if place.block else {"file": place.path}))
    _backing(place.backing, backing)


def _block_size(disk: Disk, place: DiskSource, element: Element, field: str) -> None:
    if disk.block_size is None:
        return
    custom, match = disk.block_size.custom, disk.block_size.match_volume
    if custom is None:
        if match is not None and match.enabled is not False and place.block_sizes is not None:
            logical, physical = place.block_sizes
            add(element, "blockio", logical_block_size=str(logical), physical_block_size=str(physical))
        return
    if not custom.logical or not custom.physical:
        raise InvalidSpec(f"{field}.blockSize.custom", "both logical and physical are needed")
    granularity = custom.discard_granularity
    add(
        element,
        "blockio",
        logical_block_size=str(custom.logical),
        physical_block_size=str(custom.physical),
        discard_granularity=None if granularity is None else str(granularity),
    )


def _letters(index: int) -> str:
    """0 -> a, 25 -> z, 26 -> aa."""
    text = ""
    while True:
        text = chr(ord("a") + index % 26) + text
        index = index // 26 - 1
        if index < 0:
            return text
