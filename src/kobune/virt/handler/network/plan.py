"""What must exist in a launcher pod's network namespace for a VMI's interfaces. Pure.

One module per binding (`masquerade`, `bridge`) contributes a part per interface; here they become one plan. Names of
interfaces are KubeVirt's.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from types import MappingProxyType
from typing import Final

from kobune.api.kubevirt import Interface, Network, VirtualMachineInstance
from kobune.host.dnsmasq import DhcpConfig, Lease
from kobune.host.nftables import Chain, Table
from kobune.virt.domain.bindings import MANAGED_TAP, TAP
from kobune.virt.domain.networks import bridge_name, pairs, pod_interface, tap_name
from kobune.virt.handler.network.bridge import bridge_part
from kobune.virt.handler.network.masquerade import masquerade_part
from kobune.virt.handler.network.model import (
    TABLE,
    GuestInterface,
    NetworkPlan,
    Part,
    PodInterface,
    UnsupportedInterface,
)
from kobune.virt.handler.network.plugin import managed_tap_part, tap_part

__all__ = ["guest_mac", "plan"]

_NO_ATTACHMENTS: Final[Mapping[str, str]] = MappingProxyType({})
_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}")


def plan(
    vmi: VirtualMachineInstance,
    pod: Mapping[str, PodInterface],
    resolv_conf: str,
    attachments: Mapping[str, str] = _NO_ATTACHMENTS,
) -> NetworkPlan:
    """The plan for a VMI, given the pod's interfaces by name and the text of its /etc/resolv.conf.

    `attachments` are the `domainAttachmentType`s of binding plugins, by their names. An interface whose counterpart in
    the pod is not given is left out. Raises UnsupportedInterface.
    """
    known = {network.name for network in vmi.spec.networks}
    for interface in vmi.spec.domain.devices.interfaces:
        if interface.state != "absent" and interface.name not in known:
            raise UnsupportedInterface(f"interface {interface.name}: there is no network of this name")
    parts: list[Part] = []
    for number, (interface, network) in enumerate(pairs(vmi.spec)):
        if interface.sriov is not None:
            continue  # the node's device itself: nothing is made in the pod
        if network.pod is None and network.multus is None:
            raise UnsupportedInterface(f"interface {interface.name}: this kind of network cannot be attached")
        found = pod.get(pod_interface(network))
        if found is None:
            continue
        part = _part(vmi, interface, network, found, number, attachments)
        if any(part.guest.tap == other.guest.tap for other in parts):
            raise UnsupportedInterface(f"interface {interface.name}: a network can be attached once")
        if part.lease is not None:
            part = replace(part, lease=_with_options(interface, part.lease))
        parts.append(part)
    if not parts:
        return NetworkPlan()
    leases = tuple(part.lease for part in parts if part.lease is not None)
    return NetworkPlan(
        guests=tuple(part.guest for part in parts),
        links=tuple(link for part in parts for link in part.links),
        multi_queue_taps=frozenset(part.guest.tap for part in parts if part.guest.queues > 1),
        sysctls=tuple(setting for part in parts for setting in part.sysctls),
        table=_table(parts),
        dhcp=_dhcp(vmi, leases, resolv_conf) if leases else None,
    )


def _dhcp(vmi: VirtualMachineInstance, leases: tuple[Lease, ...], resolv_conf: str) -> DhcpConfig:
    servers, domains = _resolv(resolv_conf)
    if vmi.spec.subdomain and domains:
        # The guest's own domain, so that it finds its neighbours of the subdomain by their short names.
        namespace_domain = f"{vmi.metadata.namespace}.svc."
        own = next((domain for domain in domains if domain.startswith(namespace_domain)), None)
        if own is not None:
            domains = (f"{vmi.spec.subdomain}.{own}", *domains)
    return DhcpConfig(
        leases=leases,
        hostname=vmi.spec.hostname or vmi.metadata.name,
        dns_servers=servers,
        search_domains=domains,
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


def _part(
    vmi: VirtualMachineInstance,
    interface: Interface,
    network: Network,
    pod: PodInterface,
    number: int,
    attachments: Mapping[str, str],
) -> Part:
    guest = GuestInterface(
        interface.name, tap_name(network), bridge_name(network), "", pod.mtu, _queues(vmi, interface)
    )
    if interface.masquerade is not None and network.pod is not None:
        return masquerade_part(interface, network, pod, replace(guest, mac=guest_mac(vmi, interface)))
    if interface.bridge is not None:
        mac = guest_mac(vmi, interface) if interface.mac_address else pod.mac
        return bridge_part(vmi, interface, pod, replace(guest, mac=mac), number)
    if interface.binding is not None:
        name = interface.binding.name
        kind = attachments.get(name)
        if kind == MANAGED_TAP:
            mac = guest_mac(vmi, interface) if interface.mac_address else pod.mac
            return managed_tap_part(vmi, interface, pod, replace(guest, mac=mac))
        if kind == TAP:
            return tap_part(replace(guest, mac=guest_mac(vmi, interface), bridge=""))
        raise UnsupportedInterface(f"interface {interface.name}: network binding {name} has no tap to attach")
    where = "the pod network" if network.pod is not None else "a secondary network"
    raise UnsupportedInterface(f"interface {interface.name}: its binding is not supported on {where}")


def _with_options(interface: Interface, lease: Lease) -> Lease:
    """The lease with `dhcpOptions`: boot file (option 67), TFTP server (66), NTP servers, private options."""
    asked = interface.dhcp_options
    if asked is None:
        return lease
    texts = [(66, asked.tftp_server_name), (67, asked.boot_file_name)]
    texts += [(int(private.option), private.value) for private in asked.private_options]
    try:
        return replace(
            lease,
            ntp_servers=tuple(str(IPv4Address(server)) for server in asked.ntp_servers),
            text_options=tuple((number, text) for number, text in texts if text),
        )
    except ValueError as error:
        raise UnsupportedInterface(f"interface {interface.name}: dhcpOptions: {error}") from error


def _queues(vmi: VirtualMachineInstance, interface: Interface) -> int:
    """Queue pairs: one per vCPU when `networkInterfaceMultiqueue` asks for it, and the model can."""
    if not vmi.spec.domain.devices.network_interface_multiqueue or interface.model not in (None, "", "virtio"):
        return 1
    cpu = vmi.spec.domain.cpu
    count = 1 if cpu is None else (cpu.cores or 1) * (cpu.sockets or 1) * (cpu.threads or 1)
    return min(count, 256)  # the kernel's limit for a tap


def _table(parts: list[Part]) -> Table | None:
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
