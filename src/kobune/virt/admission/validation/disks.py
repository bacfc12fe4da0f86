"""Disks, their targets, boot order and file systems."""

from collections.abc import Sequence
from typing import Final

from kobune.api.kubevirt import Disk, DomainSpec, VirtualMachineInstanceSpec, Volume
from kobune.virt.admission.review import Reason
from kobune.virt.admission.validation.check import DNS_LABEL, LONGEST_SERIAL, PCI_ADDRESS, SERIAL, Findings

__all__ = ["check_disk_fields", "check_disks"]

_BUSES: Final = ("virtio", "sata", "scsi", "usb")
_SMALLEST_BLOCK: Final = 512
_LARGEST_BLOCK: Final = 2 * 1024 * 1024


def check_disks(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    """All disks of a specification at `path`, with the volumes they show."""
    disks = spec.domain.devices.disks
    base = f"{path}.domain.devices.disks"
    volumes = {volume.name: volume for volume in spec.volumes}
    for index, disk in enumerate(disks):
        here = f"{base}[{index}]"
        volume = volumes.get(disk.name)
        if volume is None:
            findings.add(f"{here}.name", f"{here}.Name '{disk.name}' not found.")
        if disk.lun is not None and volume is not None and _is_no_claim(volume):
            message = f"{here}.lun can only be mapped to a DataVolume or PersistentVolumeClaim volume."
            findings.add(f"{here}.lun", message)
        _downward_metrics(findings, here, disk, volume)
    check_disk_fields(findings, base, disks)
    _boot_order(findings, path, spec.domain)
    _filesystems(findings, path, spec)


def check_disk_fields(findings: Findings, base: str, disks: Sequence[Disk]) -> None:
    """What disks say of themselves; `base` is the path of their list."""
    seen: dict[str, int] = {}
    for index, disk in enumerate(disks):
        here = f"{base}[{index}]"
        if disk.name in seen:
            findings.add(f"{here}.name", f"{here} and {base}[{seen[disk.name]}] must not have the same Name.")
        seen.setdefault(disk.name, index)
        if not DNS_LABEL.match(disk.name) or len(disk.name) > 63:
            findings.add(
                f"{base}.domain.devices.disks[{index}].name", f"{here}.name must be a DNS label: {disk.name!r}"
            )
        _target(findings, here, base, index, disk)
        _options(findings, here, base, index, disk)


def _target(findings: Findings, here: str, base: str, index: int, disk: Disk) -> None:
    targets = [target for target in (disk.disk, disk.lun, disk.cdrom) if target is not None]
    if len(targets) > 1:
        findings.add(here, f"{here} can only have a single target type defined")
    for kind, target in (("disk", disk.disk), ("lun", disk.lun), ("cdrom", disk.cdrom)):
        if target is None:
            continue
        bus, bus_path = target.bus or "", f"{here}.{kind}.bus"
        if bus == "ide":
            findings.add(bus_path, "IDE bus is not supported")
        elif bus and bus not in _BUSES:
            findings.add(bus_path, f"{here} is set with an unrecognized bus {bus}, must be one of: {list(_BUSES)}")
        elif kind == "cdrom" and bus == "virtio":
            findings.add(bus_path, "Bus type virtio is invalid for CD-ROM device")
        elif bus == "sata" and kind == "disk" and target.readonly:
            findings.add(bus_path, "sata hard-disks do not support read-only.")
    address = disk.disk.pci_address if disk.disk is not None else None
    if address is not None:
        where = f"{base}.domain.devices.disks.disk[{index}].pciAddress"
        if disk.disk is not None and disk.disk.bus != "virtio":
            findings.add(where, f"disk {here}.name has a PCI address but is not a virtio disk: set its bus to virtio")
        if not PCI_ADDRESS.match(address):
            findings.add(where, f"disk {here}.name has malformed PCI address ({address}).")


def _is_no_claim(volume: Volume) -> bool:
    return volume.persistent_volume_claim is None and volume.data_volume is None


def _downward_metrics(findings: Findings, here: str, disk: Disk, volume: Volume | None) -> None:
    if volume is None or volume.downward_metrics is None:
        return
    if disk.disk is None:
        message = f"DownwardMetrics volume must be mapped to a disk, but disk is not set on {here}.disk."
        findings.required(f"{here}.disk", message)
    elif disk.disk.bus not in (None, "", "virtio"):
        message = f"DownwardMetrics volume must be mapped to virtio bus, but {here}.disk.bus is set to {disk.disk.bus}"
        findings.add(f"{here}.disk.bus", message)


def _options(findings: Findings, here: str, base: str, index: int, disk: Disk) -> None:
    """Some paths repeat themselves, as KubeVirt's do."""
    bus = next((target.bus for target in (disk.disk, disk.lun, disk.cdrom) if target is not None), None)
    if disk.dedicated_io_thread and bus not in (None, "", "virtio"):
        message = f"IOThreads are not supported for disks on a {bus} bus"
        findings.add(f"{base}.domain.devices.disks[{index}]", message, Reason.NOT_SUPPORTED)
    if disk.boot_order is not None and disk.boot_order < 1:
        findings.add(f"{here}.bootOrder", f"{here} must have a boot order > 0, if supplied")
    if disk.serial:
        if not SERIAL.match(disk.serial):
            message = f"{here} must be made up of the following characters [A-Za-z0-9_.+-], if specified"
            findings.add(f"{here}.serial", message)
        if len(disk.serial) > LONGEST_SERIAL:
            message = f"{here} must be less than or equal to {LONGEST_SERIAL} in length, if specified"
            findings.add(f"{here}.serial", message)
    if disk.cache not in (None, "", "none", "writethrough", "writeback"):
        findings.add(f"{here}.cache", f"{here}.cache has invalid value {disk.cache}")
    if disk.io not in (None, "", "native", "threads"):
        message = f"Disk IO mode for {base} is not supported. Supported modes are: native, threads."
        findings.add(f"{base}.domain.devices.disks[{index}].io", message, Reason.NOT_SUPPORTED)
    if disk.error_policy not in (None, "", "stop", "ignore", "report", "enospace"):
        findings.add(f"{here}.errorPolicy", f'{here}.errorPolicy has invalid value "{disk.error_policy}"')
    size = disk.block_size
    if size is None:
        return
    if size.custom is not None and size.match_volume is not None and size.match_volume.enabled is not False:
        findings.add(f"{here}.blockSize", "Block size matching can't be enabled together with a custom value")
    elif size.custom is not None:
        logical, physical = size.custom.logical or 0, size.custom.physical or 0
        if logical > physical:
            message = f"Logical size {logical} must be the same or less than the physical size of {physical}"
            findings.add(f"{here}.blockSize.custom.logical", message)
            return
        if bus == "sata" and logical != _SMALLEST_BLOCK:
            # QEMU's SATA controllers know no other size; such a guest would not start.
            message = f"Logical size {logical} must be {_SMALLEST_BLOCK} for SATA devices"
            findings.add(f"{here}.blockSize.custom.logical", message)
            return
        granularity = size.custom.discard_granularity
        if granularity is not None and logical and granularity % logical:
            message = f"Discard granularity {granularity} must be multiples of logical size {logical}"
            findings.add(f"{here}.blockSize.custom.discardGranularity", message)
            return
        for name, value in (("logical", logical), ("physical", physical)):
            _block(findings, f"{here}.blockSize.custom.{name}", value)


def _block(findings: Findings, where: str, value: int) -> None:
    if value < _SMALLEST_BLOCK:
        findings.add(where, f"Provided size of {value} is less than the supported minimum size of {_SMALLEST_BLOCK}")
    elif value > _LARGEST_BLOCK:
        findings.add(where, f"Provided size of {value} is greater than the supported maximum size of {_LARGEST_BLOCK}")
    elif value & (value - 1):
        findings.add(where, f"Provided size of {value} is not a power of 2")


def _boot_order(findings: Findings, path: str, domain: DomainSpec) -> None:
    """Every boot order belongs to one device."""
    orders: list[tuple[str, int | None]] = [
        (f"{path}.domain.devices.disks[{index}].bootOrder", disk.boot_order)
        for index, disk in enumerate(domain.devices.disks)
    ]
    for index, interface in enumerate(domain.devices.interfaces):
        if interface.boot_order is not None and interface.boot_order < 1:
            findings.add(f"{path}[{index}].bootOrder", f"{path}[{index}] must have a boot order > 0, if supplied")
        orders.append((f"{path}.domain.devices.interfaces[{index}].bootOrder", interface.boot_order))
    _unique(findings, orders)


def _unique(findings: Findings, orders: Sequence[tuple[str, int | None]]) -> None:
    taken: set[int] = set()
    for where, order in orders:
        if order is None or order < 1:
            continue
        if order in taken:
            findings.add(where, f"Boot order for {where} already set for a different device.")
        taken.add(order)


def _filesystems(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    volumes = {volume.name: volume for volume in spec.volumes}
    where = f"{path}.domain.devices.filesystems"
    for filesystem in spec.domain.devices.filesystems:
        volume = volumes.get(filesystem.name)
        if volume is None:
            findings.add(where, f"{where}: volume '{filesystem.name}' not found.")
        elif not _is_no_claim(volume) and not findings.gates & {"EnableVirtioFsPVC", "EnableVirtioFsStorageVolumes"}:
            findings.add(where, "virtiofs is not allowed: virtiofs feature gate is not enabled for PVC")
