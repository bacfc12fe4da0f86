"""The bridge binding: the pod's address, routes and MAC address move into the guest. Pure."""

import hashlib
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from kobune.api.kubevirt import Interface, VirtualMachineInstance
from kobune.host.dnsmasq import Lease
from kobune.host.netlink import Address, Link, Route
from kobune.virt.handler.network.model import (
    BRIDGE_MAC,
    POD_INTERFACE,
    GuestInterface,
    Part,
    PodInterface,
    UnsupportedInterface,
)

__all__ = ["bridge_part", "port_mac"]

DHCP_ADDRESS: Final = IPv4Address("169.254.75.10")
"""Where the DHCP server answers from: the bridge has no address of its own in the guest's network."""


def bridge_part(
    vmi: VirtualMachineInstance, interface: Interface, pod: PodInterface, guest: GuestInterface, number: int
) -> Part:
    """The pod's interface becomes a port of the bridge, and its address, if it has one, the guest's.

    `number` tells the DHCP servers of a pod's interfaces apart. A secondary network may come without addresses: the
    guest then finds its own. Raises UnsupportedInterface when the pod network has no IPv4 address.
    """
    found = pod.global_address("inet")
    if found is None and pod.name == POD_INTERFACE:
        raise UnsupportedInterface(f"interface {interface.name}: the pod has no IPv4 address to give to the guest")
    own = () if found is None else (Address("inet", str(DHCP_ADDRESS + number), 32),)
    return Part(
        guest=guest,
        links=(
            Link(guest.bridge, BRIDGE_MAC, pod.mtu, True, "bridge", addresses=own),
            # Pod networks may reflect the guest's own broadcasts (hairpin mode of the bridge plugin): a bridge that
            # learnt from them would look for the guest outside.
            Link(pod.name, port_mac(vmi, interface), pod.mtu, True, master=guest.bridge, learning=False),
            Link(guest.tap, "", pod.mtu, True, "tun", master=guest.bridge),
        ),
        sysctls=(),
        rules={},
        lease=None if found is None else _lease(pod, guest, found),
    )


def port_mac(vmi: VirtualMachineInstance, interface: Interface) -> str:
    """What the pod's interface is called while the guest has its address."""
    identity = f"{vmi.metadata.namespace}/{vmi.metadata.name}/{interface.name}/port"
    return ":".join(["02", *(f"{byte:02x}" for byte in hashlib.sha256(identity.encode()).digest()[:5])])


def _lease(pod: PodInterface, guest: GuestInterface, found: Address) -> Lease:
    net = IPv4Network(f"{found.address}/{found.prefix_length}", strict=False)
    gateway = next((route.gateway for route in pod.routes if route.destination == "default" and _is4(route)), "")
    static = tuple(
        ("0.0.0.0/0" if route.destination == "default" else route.destination, route.gateway)
        for route in pod.routes
        if _is4(route) and route.gateway
    )
    return Lease(
        bridge=guest.bridge,
        mac=guest.mac,
        address=found.address,
        prefix_length=found.prefix_length,
        netmask=str(net.netmask),
        gateway=gateway or None,
        mtu=pod.mtu,
        routes=static if any(destination != "0.0.0.0/0" for destination, _ in static) else (),
        shared_network=True,
    )


def _is4(route: Route) -> bool:
    return ":" not in route.gateway and ":" not in route.destination
