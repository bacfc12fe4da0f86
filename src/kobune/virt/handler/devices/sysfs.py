"""Devices of this node that may be given to guests, as the kernel's sysfs tells of them.

Owns: finding the PCI, mediated and USB devices that the installation permits, and what a pod needs of each. Reads
below an injected root and changes nothing. Whoever binds a device to `vfio-pci` or makes a mediated device is the
node's administrator; one in use by another driver is never offered. Source: Documentation/ABI of the kernel
(sysfs-bus-pci, sysfs-bus-vfio-mdev, sysfs-bus-usb).
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kobune.api.kubevirt import PermittedHostDevices, USBSelector
from kobune.virt.domain.hostdevices import MDEV_PREFIX, PCI_PREFIX, USB_PREFIX

__all__ = ["Node", "NodeDevice", "discover"]

log = logging.getLogger(__name__)

VFIO: Final = "/dev/vfio"
VFIO_DRIVER: Final = "vfio-pci"


@dataclass(frozen=True, slots=True)
class NodeDevice:
    """One thing that a guest can be given: `ids` are what the launcher is told (PCI addresses, UUIDs, `bus:device`).

    `nodes` are the device nodes that its pod gets, `present` those of them that exist only as long as the device does.
    `numa` is the node of memory that it is nearest to, None when the kernel does not say.
    """

    name: str
    prefix: str
    ids: tuple[str, ...]
    nodes: tuple[str, ...]
    present: tuple[str, ...]
    numa: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """Where this machine's sysfs and devices are; tests put them elsewhere."""

    root: Path = Path("/")

    def below(self, path: str) -> Path:
        """An absolute path of the machine."""
        return self.root / path.lstrip("/")

    def has(self, device: NodeDevice) -> bool:
        """Whether its device nodes are still there."""
        return all(self.below(path).exists() for path in device.present)


def discover(
    node: Node,
    permitted: PermittedHostDevices | None,
    before: Mapping[str, Sequence[NodeDevice]] = MappingProxyType({}),
) -> dict[str, tuple[NodeDevice, ...]]:
    """What this node offers now, by resource; a permitted resource that it has nothing of is there with no device.

    Resources whose devices somebody else's plugin offers are left out. `before` is what was found last: sets of USB
    devices that are still whole stay together, as a guest may have one.
    """
    if permitted is None:
        return {}
    found: dict[str, list[NodeDevice]] = {}
    # A group of the IOMMU goes to one guest as a whole, whatever resources its functions are permitted as.
    taken: set[str] = set()
    selectors: dict[str, str] = {}
    for pci in permitted.pci_host_devices:
        if not pci.external_resource_provider:
            selectors[pci.pci_vendor_selector.lower()] = pci.resource_name
            found.setdefault(pci.resource_name, [])
    for resource, device in _pci_devices(node, selectors, taken):
        found[resource].append(device)
    types: dict[str, str] = {}
    for mdev in permitted.mediated_devices:
        if not mdev.external_resource_provider:
            types[_type_name(mdev.mdev_name_selector)] = mdev.resource_name
            found.setdefault(mdev.resource_name, [])
    for resource, device in _mediated_devices(node, types, taken):
        found[resource].append(device)
    own = [usb for usb in permitted.usb if not usb.external_resource_provider]
    plugged = list(_usb_devices(node)) if own else []
    for usb in own:
        kept = _kept_sets(plugged, usb.selectors, before.get(usb.resource_name, ()))
        found.setdefault(usb.resource_name, []).extend(kept)
    for usb in own:
        found[usb.resource_name].extend(_usb_sets(plugged, usb.selectors))
    return {resource: tuple(devices) for resource, devices in sorted(found.items())}


def _pci_devices(node: Node, selectors: dict[str, str], taken: set[str]) -> Iterator[tuple[str, NodeDevice]]:
    for folder in _entries(node.below("/sys/bus/pci/devices")) if selectors else ():
        facts = _uevent(folder)
        resource = selectors.get(facts.get("PCI_ID", "").lower())
        if resource is None or facts.get("DRIVER") != VFIO_DRIVER:
            continue
        group = _link_name(folder / "iommu_group")
        if not group or group in taken:
            log.info("%s is not offered: %s", folder.name, "its group is, already" if group else "it is in no group")
            continue
        taken.add(group)
        yield resource, _vfio_device(PCI_PREFIX, folder.name, group, _numa(folder))


def _mediated_devices(node: Node, types: dict[str, str], taken: set[str]) -> Iterator[tuple[str, NodeDevice]]:
    for folder in _entries(node.below("/sys/bus/mdev/devices")) if types else ():
        name = _read(folder / "mdev_type/name") or _link_name(folder / "mdev_type")
        resource = types.get(_type_name(name))
        group = _link_name(folder / "iommu_group")
        if resource is not None and group and group not in taken:
            taken.add(group)
            # A mediated device lies below the one that it is a part of.
            yield resource, _vfio_device(MDEV_PREFIX, folder.name, group, _numa(folder.resolve().parent))


def _vfio_device(prefix: str, identity: str, group: str, numa: int | None) -> NodeDevice:
    own = f"{VFIO}/{group}"
    return NodeDevice(group, prefix, (identity,), (f"{VFIO}/vfio", own), (own,), numa)


def _type_name(name: str) -> str:
    return name.strip().replace(" ", "_")


@dataclass(frozen=True, slots=True)
class _Usb:
    vendor: int
    product: int
    bus: int
    number: int
    path: str

    @property
    def name(self) -> str:
        return f"{self.vendor:04x}:{self.product:04x}-{self.bus:02d}:{self.number:02d}"


def _usb_devices(node: Node) -> Iterator[_Usb]:
    for folder in _entries(node.below("/sys/bus/usb/devices")):
        # Root hubs are the controllers themselves; interfaces of a device have no vendor.
        if folder.name.startswith("usb") or not (folder / "idVendor").exists():
            continue
        facts = _uevent(folder)
        try:
            vendor, product, _ = (int(part, 16) for part in facts["PRODUCT"].split("/"))
            bus, number = int(facts["BUSNUM"]), int(facts["DEVNUM"])
        except (KeyError, ValueError):
            log.info("USB device %s is not offered: the kernel does not tell its place", folder.name)
            continue
        # Not DEVNAME: the path is made of two numbers, so that it can lead nowhere else.
        yield _Usb(vendor, product, bus, number, f"/dev/bus/usb/{bus:03d}/{number:03d}")


def _kept_sets(
    plugged: list[_Usb], selectors: Sequence[USBSelector], before: Sequence[NodeDevice]
) -> Iterator[NodeDevice]:
    """Those of `before` that are still there and still what is selected; they are taken out of `plugged`."""
    wanted = sorted(_selected(selectors))
    for known in before:
        there = [device for device in plugged if device.name in known.name.split("+")]
        if wanted and sorted((device.vendor, device.product) for device in there) == wanted:
            for device in there:
                plugged.remove(device)
            yield known


def _usb_sets(plugged: list[_Usb], selectors: Sequence[USBSelector]) -> Iterator[NodeDevice]:
    """As many sets of one device per selector as there are; they are taken out of `plugged`."""
    wanted = _selected(selectors)
    while wanted:
        chosen: list[_Usb] = []
        free = list(plugged)
        for kind in wanted:
            match = next((device for device in free if (device.vendor, device.product) == kind), None)
            if match is None:
                return
            free.remove(match)
            chosen.append(match)
        for device in chosen:
            plugged.remove(device)
        paths = tuple(device.path for device in chosen)
        yield NodeDevice(
            "+".join(device.name for device in chosen),
            USB_PREFIX,
            tuple(f"{device.bus}:{device.number}" for device in chosen),
            paths,
            paths,
        )


def _selected(selectors: Sequence[USBSelector]) -> list[tuple[int, int]]:
    try:
        return [(int(one.vendor, 16), int(one.product, 16)) for one in selectors]
    except ValueError:
        log.warning("a USB selector of the installation is not made of two hexadecimal numbers; it selects nothing")
        return []


def _entries(folder: Path) -> list[Path]:
    """The devices of a bus in the order of their names; a bus that there is not has none."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _uevent(folder: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in _read(folder / "uevent").splitlines())
    return {name: value for name, equals, value in pairs if equals}


def _numa(folder: Path) -> int | None:
    try:
        number = int(_read(folder / "numa_node"))
    except ValueError:
        return None
    return number if number >= 0 else None


def _link_name(path: Path) -> str:
    try:
        return Path(os.readlink(path)).name
    except OSError:
        return ""


def _read(path: Path) -> str:
    """A small file's text; devices come and go, so that one that is gone is empty."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
