"""Network interfaces on tap devices that virt-handler made. SR-IOV ones are devices of the node: `host_device`."""

from kobune.virt.domain.cpu import topology
from kobune.virt.domain.devices.model import virtio_model
from kobune.virt.domain.devices.pci import pci_address
from kobune.virt.domain.document import Domain, DomainSource, Element, InvalidSpec, add

__all__ = ["configure", "interface_element"]

_MODELS = ("virtio", "e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "igb")


def configure(source: DomainSource, domain: Domain) -> None:
    """`<interface>`, in the order of `spec.domain.devices.interfaces`."""
    for index, interface in enumerate(source.vmi.spec.domain.devices.interfaces):
        if interface.state != "absent" and interface.sriov is None:
            domain.devices.append(interface_element(source, index))


def interface_element(source: DomainSource, index: int) -> Element:
    """One `<interface>`, by its place in the specification. Raises InvalidSpec."""
    interface = source.vmi.spec.domain.devices.interfaces[index]
    field = f"spec.domain.devices.interfaces[{index}]"
    fact = next((fact for fact in source.facts.interfaces if fact.name == interface.name), None)
    if fact is None:
        raise InvalidSpec(field, f"no network was made ready for interface {interface.name!r}")
    model = interface.model or "virtio"
    if model not in _MODELS:
        raise InvalidSpec(f"{field}.model", f"{model!r} is none of {', '.join(_MODELS)}")
    virtio = model == "virtio"
    element = Element("interface", type="ethernet")
    add(element, "mac", address=fact.mac)
    # managed="no": QEMU's user may open the tap by its owner, libvirt must not make or remove it.
    add(element, "target", dev=fact.tap, managed="no")
    add(element, "model", type=virtio_model(source) if virtio else model)
    if virtio and fact.queues > 1:
        queues = min(fact.queues, topology(source.vmi.spec.domain).vcpus)
        add(element, "driver", name="qemu", queues=str(queues))
    elif virtio:
        # Without a name libvirt would try vhost-net, which needs a device that the container has not got.
        add(element, "driver", name="qemu")
    add(element, "mtu", size=str(fact.mtu))
    if interface.boot_order:
        add(element, "boot", order=str(interface.boot_order))
    else:
        add(element, "rom", enabled="no")
    if interface.state == "down":
        add(element, "link", state="down")
    if interface.acpi_index:
        add(element, "acpi", index=str(interface.acpi_index))
    if interface.pci_address:
        pci_address(interface.pci_address, element, f"{field}.pciAddress")
    add(element, "alias", name=f"ua-{interface.name}")
    return element
