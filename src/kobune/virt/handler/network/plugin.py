"""Interfaces of network binding plugins: the guest's end alone; addresses are the plugin's. Pure."""

from kobune.api.kubevirt import Interface, VirtualMachineInstance
from kobune.host.netlink import Link
from kobune.virt.handler.network.bridge import port_mac
from kobune.virt.handler.network.model import BRIDGE_MAC, GuestInterface, Part, PodInterface

__all__ = ["managed_tap_part", "tap_part"]


def managed_tap_part(
    vmi: VirtualMachineInstance, interface: Interface, pod: PodInterface, guest: GuestInterface
) -> Part:
    """A bridge between the pod's interface and a tap; the guest gets its address from the network itself."""
    return Part(
        guest=guest,
        links=(
            Link(guest.bridge, BRIDGE_MAC, pod.mtu, True, "bridge"),
            Link(pod.name, port_mac(vmi, interface), pod.mtu, True, master=guest.bridge, learning=False),
            Link(guest.tap, "", pod.mtu, True, "tun", master=guest.bridge),
        ),
        sysctls=(),
        rules={},
        lease=None,
    )


def tap_part(guest: GuestInterface) -> Part:
    """A tap that the plugin's CNI plugin has made; nothing is made here."""
    return Part(guest=guest, links=(), sysctls=(), rules={}, lease=None)
