"""Devices of the node: PCI devices and mediated ones (both by VFIO), and USB devices.

Which device an entry gets is the kubelet's decision; its device plugin told it in the container's environment
(`hostdevices`). Nobody but the node's administrator binds or unbinds a device: libvirt must not (`managed="no"`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kobune.api.kubevirt import VGPUOptions
from kobune.virt.domain.devices.pci import pci_address
from kobune.virt.domain.document import Domain, DomainSource, Element, InvalidSpec, add
from kobune.virt.domain.hostdevices import MDEV_PREFIX, PCI_PREFIX, USB_PREFIX, Wanted, given_ids, wanted

__all__ = ["Assigned", "assigned", "configure", "has_usb", "sriov_elements"]

_PREFIXES = (PCI_PREFIX, MDEV_PREFIX, USB_PREFIX)


@dataclass(frozen=True, slots=True)
class Assigned:
    """What one entry was given: `ids` of the kind that `prefix` says."""

    wanted: Wanted
    prefix: str
    ids: tuple[str, ...]


def assigned(source: DomainSource) -> list[Assigned]:
    """Every entry with its device. Raises InvalidSpec for one that was given none."""
    entries = list(wanted(source.vmi.spec))
    shares: dict[str, Iterator[tuple[str, tuple[str, ...]]]] = {}
    found: list[Assigned] = []
    for entry in entries:
        if entry.resource not in shares:
            count = sum(one.resource == entry.resource for one in entries)
            shares[entry.resource] = iter(_shares(source, entry.resource, count))
        share = next(shares[entry.resource], None)
        if share is None:
            message = f"the pod was given no device of {entry.resource!r}: is its device plugin made for KubeVirt?"
            raise InvalidSpec(f"spec.domain.devices.{entry.field}", message)
        found.append(Assigned(entry, *share))
    return found


def sriov_elements(source: DomainSource) -> Iterator[Element]:
    """`<hostdev>` of SR-IOV interfaces, in their order. Raises InvalidSpec for one whose device is not known."""
    facts = {fact.name: fact for fact in source.facts.interfaces}
    for index, interface in enumerate(source.vmi.spec.domain.devices.interfaces):
        if interface.sriov is None or interface.state == "absent":
            continue
        field = f"spec.domain.devices.interfaces[{index}]"
        fact = facts.get(interface.name)
        if fact is None or not fact.pci:
            raise InvalidSpec(field, f"the pod was given no SR-IOV device for interface {interface.name!r}")
        element = Element("hostdev", mode="subsystem")
        _pci(element, fact.pci, field)
        if interface.boot_order:
            add(element, "boot", order=str(interface.boot_order))
        if interface.pci_address:
            pci_address(interface.pci_address, element, f"{field}.pciAddress")
        add(element, "alias", name=f"ua-sriov-{interface.name}")
        yield element


def has_usb(source: DomainSource) -> bool:
    """Whether any of them needs a USB controller."""
    return any(one.prefix == USB_PREFIX for one in assigned(source))


def configure(source: DomainSource, domain: Domain) -> None:
    """`<hostdev>`, one per device: SR-IOV interfaces first."""
    domain.devices.extend([*sriov_elements(source)])
    displays = 0
    for one in assigned(source):
        field = f"spec.domain.devices.{one.wanted.field}"
        for number, identity in enumerate(one.ids):
            element = add(domain.devices, "hostdev", mode="subsystem")
            if one.prefix == PCI_PREFIX:
                _pci(element, identity, field)
            elif one.prefix == MDEV_PREFIX:
                displays += _mediated(source, element, one.wanted, identity, first=displays == 0)
            else:
                _usb(element, identity)
            kind = "gpu" if one.wanted.gpu else "hostdevice"
            more = f"-{number}" if number else ""
            add(element, "alias", name=f"ua-{kind}-{one.wanted.name}{more}")


def _shares(source: DomainSource, resource: str, count: int) -> list[tuple[str, tuple[str, ...]]]:
    """What a resource's entries get: one device each, or as many USB devices as make up one."""
    for prefix in _PREFIXES:
        ids = given_ids(source.environment, prefix, resource)
        if len(ids) >= count:
            size = len(ids) // count
            return [(prefix, tuple(ids[start : start + size])) for start in range(0, size * count, size)]
    return []


def _pci(element: Element, identity: str, field: str) -> None:
    element.set("type", "pci")
    element.set("managed", "no")
    pci_address(identity, add(element, "source"), field)
    # On the node's bus there are only PCI addresses; libvirt's source address has no type.
    element.find("source/address").attrib.pop("type")  # type: ignore[union-attr]


def _mediated(source: DomainSource, element: Element, entry: Wanted, identity: str, *, first: bool) -> bool:
    element.set("type", "mdev")
    element.set("model", "vfio-pci")
    add(add(element, "source"), "address", uuid=identity)
    # A display needs a screen to be shown on.
    graphics = source.vmi.spec.domain.devices.autoattach_graphics_device is not False
    display, frame_buffer = _display(entry, first=first) if graphics else (False, False)
    if display:
        element.set("display", "on")
        if frame_buffer:
            element.set("ramfb", "on")
    return display


def _display(entry: Wanted, *, first: bool) -> tuple[bool, bool]:
    """Whether a vGPU is shown, and has a frame buffer while the guest boots; the first one is if nothing is said.

    Only one device of a guest can have the frame buffer.
    """
    if not entry.gpu:
        return False, False
    options: VGPUOptions | None = entry.options
    if options is None:
        return first, first
    display = options.display
    if display is None or display.enabled is False:
        return False, False
    return True, display.ram_fb is None or display.ram_fb.enabled is not False


def _usb(element: Element, identity: str) -> None:
    element.set("type", "usb")
    element.set("managed", "no")
    bus, number = identity.split(":")
    add(add(element, "source"), "address", bus=bus, device=number)
