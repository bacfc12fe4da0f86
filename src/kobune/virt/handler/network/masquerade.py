"""The masquerade binding: the guest has an address of its own behind NAT. Pure.

Its networks are KubeVirt's by default; the first address is the bridge's, the second the guest's.
"""

from ipaddress import IPv4Network, IPv6Network
from typing import Final

from kobune.api.kubevirt import Interface, Network
from kobune.host.dnsmasq import Lease
from kobune.host.netlink import Address, Link
from kobune.virt.handler.network.model import (
    BRIDGE_MAC,
    POD_INTERFACE,
    GuestInterface,
    Part,
    PodInterface,
    UnsupportedInterface,
)

__all__ = ["masquerade_part"]

VM_NETWORK: Final = "10.0.2.0/24"
VM_NETWORK6: Final = "fd10:0:2::/120"


def masquerade_part(interface: Interface, network: Network, pod: PodInterface, guest: GuestInterface) -> Part:
    """Bridge, tap, NAT both ways and a lease. Raises UnsupportedInterface for ports that are neither TCP nor UDP."""
    assert network.pod is not None
    net = IPv4Network(network.pod.vm_network_cidr or VM_NETWORK, strict=False)
    gateway, address = net.network_address + 1, net.network_address + 2
    addresses = [Address("inet", str(gateway), net.prefixlen)]
    sysctls = [("net.ipv4.ip_forward", "1"), (f"net.ipv4.conf.{guest.bridge}.route_localnet", "1")]
    rules = _nat("ip", str(address), str(gateway), "127.0.0.1", interface, guest)
    address6, prefix_length6 = None, 120
    if pod.global_address("inet6") is not None:
        net6 = IPv6Network(network.pod.vm_ipv6_network_cidr or VM_NETWORK6, strict=False)
        address6, prefix_length6 = str(net6.network_address + 2), net6.prefixlen
        gateway6 = str(net6.network_address + 1)
        addresses += [Address("inet6", gateway6, net6.prefixlen)]
        sysctls += [("net.ipv6.conf.all.forwarding", "1")]
        for name, lines in _nat("ip6", address6, gateway6, "::1", interface, guest).items():
            rules[name] = (*rules[name], *lines)
    return Part(
        guest=guest,
        links=(
            Link(guest.bridge, BRIDGE_MAC, pod.mtu, True, "bridge", addresses=tuple(addresses)),
            Link(guest.tap, "", pod.mtu, True, "tun", master=guest.bridge),
        ),
        sysctls=tuple(sysctls),
        rules=rules,
        lease=Lease(
            bridge=guest.bridge,
            mac=guest.mac,
            address=str(address),
            prefix_length=net.prefixlen,
            netmask=str(net.netmask),
            gateway=str(gateway),
            mtu=pod.mtu,
            address6=address6,
            prefix_length6=prefix_length6,
        ),
    )


def _nat(
    family: str, address: str, gateway: str, loopback: str, interface: Interface, guest: GuestInterface
) -> dict[str, tuple[str, ...]]:
    """In: to the guest, what comes to the pod's interface or to its loopback. Out: as the pod."""
    nfproto = "ipv4" if family == "ip" else "ipv6"
    matches = _port_matches(interface)
    inbound = tuple(
        f'iifname "{POD_INTERFACE}" meta nfproto {nfproto} {match}dnat {family} to {address}' for match in matches
    )
    local = tuple(
        f"{family} daddr {loopback} {match or 'meta l4proto { tcp, udp } '}dnat {family} to {address}"
        for match in matches
    )
    # Router solicitations and neighbour discovery of the guest use link-local sources; nothing of them is forwarded.
    return {
        "prerouting": inbound,
        "output": local if family == "ip" else (),
        "postrouting": (
            f'{family} saddr {address} oifname "{POD_INTERFACE}" masquerade',
            f'{family} saddr {loopback} oifname "{guest.bridge}" snat {family} to {gateway}',
        ),
        "forward": (f'iifname "{guest.bridge}" {family} saddr != {address} drop',),
    }


def _port_matches(interface: Interface) -> tuple[str, ...]:
    """One match per protocol of `ports` and `portRanges`; without any, a single match of everything."""
    wanted: dict[str, list[str]] = {}
    for port in interface.ports:
        wanted.setdefault((port.protocol or "TCP").lower(), []).append(str(int(port.port)))
    for ports in interface.port_ranges:
        wanted.setdefault(ports.protocol.lower(), []).append(f"{int(ports.start)}-{int(ports.end)}")
    unknown = wanted.keys() - {"tcp", "udp"}
    if unknown:
        raise UnsupportedInterface(f"interface {interface.name}: protocol {min(unknown)!r} is neither TCP nor UDP")
    return tuple(f"{protocol} dport {{ {', '.join(sorted(set(ports)))} }} " for protocol, ports in wanted.items()) or (
        "",
    )
