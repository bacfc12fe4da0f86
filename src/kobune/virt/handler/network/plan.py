"""What must exist in a launcher pod's network namespace for a VMI's interfaces. Pure.

Bindings: masquerade (the guest has an address of its own behind NAT; KubeVirt's documented defaults 10.0.2.0/24 and
fd10:0:2::/120) and bridge (the pod's address moves into the guest). Interface names and the bridge's MAC address are
KubeVirt's, so that a guest that migrates finds the same neighbour.
"""

import hashlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from kobune.api.kubevirt import Interface, Network, VirtualMachineInstance
from kobune.base.errors import TerminalError
from kobune.host.dnsmasq import DhcpConfig, Lease
from kobune.host.netlink import Address, Link, Route
from kobune.host.nftables import Chain, Table

__all__ = ["GuestInterface", "NetworkPlan", "PodInterface", "UnsupportedInterface", "guest_mac", "plan"]

POD_INTERFACE = "eth0"
BRIDGE_MAC = "02:00:00:00:00:00"
QEMU_ID = 107
VM_NETWORK = "10.0.2.0/24"
VM_NETWORK6 = "fd10:0:2::/120"
DHCP_ADDRESS = "169.254.75.10/32"
"""Where the DHCP server answers from on a bridge that has no address of its own in the guest's network."""
TABLE = ("inet", "kobune")
_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}")


class UnsupportedInterface(TerminalError):
    """The VMI asks for an interface that this node cannot make; the message names it."""


@dataclass(frozen=True, slots=True)
class PodInterface:
    """The pod's interface as CNI made it, before anything was changed."""

    mac: str
    mtu: int
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]

    def global_address(self, family: str) -> Address | None:
        """Its first address of family `inet` or `inet6` that reaches beyond the link."""
        return next((a for a in self.addresses if a.family == family and a.scope == "global"), None)


@dataclass(frozen=True, slots=True)
class GuestInterface:
    """One interface of the guest as the launcher is told of it."""

    name: str
    tap: str
    bridge: str
    mac: str
    mtu: int
    queues: int


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The whole: `links` must exist with at least these properties and exactly these (global) addresses."""

    guests: tuple[GuestInterface, ...] = ()
    links: tuple[Link, ...] = ()
    multi_queue_taps: frozenset[str] = frozenset()
    sysctls: tuple[tuple[str, str], ...] = ()
    table: Table | None = None
    dhcp: DhcpConfig | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    guest: GuestInterface
    links: tuple[Link, ...]
    sysctls: tuple[tuple[str, str], ...]
    rules: dict[str, tuple[str, ...]]
    lease: Lease


def plan(vmi: VirtualMachineInstance, pod: PodInterface, resolv_conf: str) -> NetworkPlan:
    """The plan for a VMI, given the pod's interface and the text of its /etc/resolv.conf.

    Raises UnsupportedInterface.
    """
    networks = {network.name: network for network in vmi.spec.networks}
    parts: list[_Part] = []
    for interface in vmi.spec.domain.devices.interfaces:
        if interface.state == "absent":
            continue
        network = networks.get(interface.name)
        if network is None or network.pod is None:
            raise UnsupportedInterface(f"interface {interface.name}: only the pod network can be attached")
        if parts:
            raise UnsupportedInterface(f"interface {interface.name}: there is one pod network, it can be attached once")
        parts.append(_part(vmi, interface, network, pod))
    if not parts:
        return NetworkPlan()
    servers, domains = _resolv(resolv_conf)
    return NetworkPlan(
        guests=tuple(part.guest for part in parts),
        links=tuple(link for part in parts for link in part.links),
        multi_queue_taps=frozenset(part.guest.tap for part in parts if part.guest.queues > 1),
        sysctls=tuple(setting for part in parts for setting in part.sysctls),
        table=_table(parts),
        dhcp=DhcpConfig(
            leases=tuple(part.lease for part in parts),
            hostname=vmi.spec.hostname or vmi.metadata.name,
            dns_servers=servers,
            search_domains=domains,
        ),
    )


def guest_mac(vmi: VirtualMachineInstance, interface: Interface) -> str:
    """The MAC address asked for, else one that stays the same for this VM and network over all its restarts."""
    if interface.mac_address:
        mac = interface.mac_address.lower()
        if not _MAC.fullmatch(mac):
            raise UnsupportedInterface(f"interface {interface.name}: {interface.mac_address!r} is no MAC address")
        return mac.replace("-", ":")
    identity = f"{vmi.metadata.namespace}/{vmi.metadata.name}/{interface.name}"
    digest = hashlib.sha256(identity.encode()).digest()
    return ":".join(["02", *(f"{byte:02x}" for byte in digest[:5])])


def _part(vmi: VirtualMachineInstance, interface: Interface, network: Network, pod: PodInterface) -> _Part:
    bridge, tap = f"k6t-{POD_INTERFACE}", "tap0"
    if interface.masquerade is not None:
        guest = GuestInterface(interface.name, tap, bridge, guest_mac(vmi, interface), pod.mtu, _queues(vmi, interface))
        return _masquerade(interface, network, pod, guest)
    if interface.bridge is not None:
        mac = guest_mac(vmi, interface) if interface.mac_address else pod.mac
        guest = GuestInterface(interface.name, tap, bridge, mac, pod.mtu, _queues(vmi, interface))
        return _bridge(vmi, interface, pod, guest)
    raise UnsupportedInterface(f"interface {interface.name}: its binding is not supported, use masquerade or bridge")


def _queues(vmi: VirtualMachineInstance, interface: Interface) -> int:
    """Queue pairs: one per vCPU when `networkInterfaceMultiqueue` asks for it, and the model can."""
    if not vmi.spec.domain.devices.network_interface_multiqueue or interface.model not in (None, "", "virtio"):
        return 1
    cpu = vmi.spec.domain.cpu
    count = 1 if cpu is None else (cpu.cores or 1) * (cpu.sockets or 1) * (cpu.threads or 1)
    return min(count, 256)  # the kernel's limit for a tap


def _masquerade(interface: Interface, network: Network, pod: PodInterface, guest: GuestInterface) -> _Part:
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
    return _Part(
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


def _table(parts: list[_Part]) -> Table | None:
    hooks = {
        "prerouting": "type nat hook prerouting priority -100; policy accept;",
        "output": "type nat hook output priority -100; policy accept;",
        "postrouting": "type nat hook postrouting priority 100; policy accept;",
        "forward": "type filter hook forward priority 0; policy accept;",
    }
    chains = tuple(
        Chain(name, hook, tuple(rule for part in parts for rule in part.rules.get(name, ())))
        for name, hook in hooks.items()
    )
    return Table(*TABLE, chains) if any(chain.rules for chain in chains) else None


def _bridge(vmi: VirtualMachineInstance, interface: Interface, pod: PodInterface, guest: GuestInterface) -> _Part:
    """The pod's interface becomes a port of the bridge and gives its address, routes and MAC address to the guest."""
    found = pod.global_address("inet")
    if found is None:
        raise UnsupportedInterface(f"interface {interface.name}: the pod has no IPv4 address to give to the guest")
    identity = f"{vmi.metadata.namespace}/{vmi.metadata.name}/{interface.name}/port"
    port_mac = ":".join(["02", *(f"{byte:02x}" for byte in hashlib.sha256(identity.encode()).digest()[:5])])
    net = IPv4Network(f"{found.address}/{found.prefix_length}", strict=False)
    gateway = next((route.gateway for route in pod.routes if route.destination == "default" and _is4(route)), "")
    static = tuple(
        ("0.0.0.0/0" if route.destination == "default" else route.destination, route.gateway)
        for route in pod.routes
        if _is4(route) and route.gateway
    )
    own = Address("inet", DHCP_ADDRESS.partition("/")[0], 32)
    return _Part(
        guest=guest,
        links=(
            Link(guest.bridge, BRIDGE_MAC, pod.mtu, True, "bridge", addresses=(own,)),
            # Pod networks may reflect the guest's own broadcasts (hairpin mode of the bridge plugin): a bridge that
            # learnt from them would look for the guest outside.
            Link(POD_INTERFACE, port_mac, pod.mtu, True, master=guest.bridge, learning=False),
            Link(guest.tap, "", pod.mtu, True, "tun", master=guest.bridge),
        ),
        sysctls=(),
        rules={},
        lease=Lease(
            bridge=guest.bridge,
            mac=guest.mac,
            address=found.address,
            prefix_length=found.prefix_length,
            netmask=str(net.netmask),
            gateway=gateway or None,
            mtu=pod.mtu,
            routes=static if any(destination != "0.0.0.0/0" for destination, _ in static) else (),
            shared_network=True,
        ),
    )


def _is4(route: Route) -> bool:
    return ":" not in route.gateway and ":" not in route.destination


def _resolv(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name servers that a guest can reach, and search domains, of a resolv.conf."""
    servers: list[str] = []
    domains: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            # The pod's loopback is not the guest's.
            if not address.is_loopback and not address.is_unspecified:
                servers.append(str(address))
        elif len(words) >= 2 and words[0] in ("search", "domain"):
            domains = tuple(words[1:])
    return tuple(servers), domains
