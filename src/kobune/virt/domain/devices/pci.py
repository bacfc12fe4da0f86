"""A PCI address that the VMI asks for."""

from kobune.virt.domain.document import Element, InvalidSpec, add

__all__ = ["pci_address"]


def pci_address(text: str, element: Element, field: str) -> None:
    """Add `<address type="pci">` for `0000:81:01.0`; raises InvalidSpec naming `field`."""
    try:
        domain, bus, rest = text.split(":")
        slot, function = rest.split(".")
        parts = [int(part, 16) for part in (domain, bus, slot, function)]
    except ValueError as error:
        raise InvalidSpec(field, f"{text!r} is not a PCI address such as 0000:81:01.0") from error
    names = ("domain", "bus", "slot", "function")
    add(element, "address", type="pci", **{name: hex(part) for name, part in zip(names, parts, strict=True)})
