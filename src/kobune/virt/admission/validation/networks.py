"""Interfaces and networks."""

import ipaddress
import re
from typing import Final

import msgspec

from kobune.api.kubevirt import Interface, Network, VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.check import PCI_ADDRESS, Findings, is_mac_address
from kobune.virt.domain.networks import pluggable

__all__ = ["NO_BRIDGE_ON_POD_NETWORK", "check_networks", "check_plugged_networks", "has_pod_network"]

_NAME: Final = re.compile(r"^[A-Za-z0-9_-]+$")
_PORT_NAME: Final = re.compile(r"^(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
_MODELS: Final = ("e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139", "virtio")
_BRIDGE_MAC: Final = "02:00:00:00:00:00"
NO_BRIDGE_ON_POD_NETWORK: Final = "kobune.io/no-bridge-on-pod-network"
"""Stands among the gates where the installation's network.permitBridgeInterfaceOnPodNetwork is false."""
_DISCONTINUED: Final = ("slirp", "macvtap", "passt")


def has_pod_network(spec: VirtualMachineInstanceSpec) -> bool:
    """Whether the guest will be on the pod's network; without any network given, it is attached by default."""
    if not spec.networks and not spec.domain.devices.interfaces:
        return spec.domain.devices.autoattach_pod_interface is not False
    return any(network.pod is not None for network in spec.networks)


def check_networks(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    """Interfaces and networks of a specification at `path`."""
    interfaces, networks = spec.domain.devices.interfaces, spec.networks
    _networks(findings, path, networks, {interface.name for interface in interfaces})
    by_name = {network.name: network for network in networks}
    seen: set[str] = set()
    for index, interface in enumerate(interfaces):
        here = f"{path}.domain.devices.interfaces[{index}]"
        if interface.name in seen:
            message = "Only one interface can be connected to one specific network"
            findings.add(f"{here}.name", message, Reason.DUPLICATE)
        seen.add(interface.name)
        network = by_name.get(interface.name)
        if network is None:
            findings.add(f"{here}.name", f"{here}.name '{interface.name}' not found.")
        _binding(findings, here, interface, network)
        _identity(findings, here, interface)
        if network is not None and network.pod is not None:
            _ports(findings, here, interface)
        _dhcp(findings, path, here, interface)
        _state(findings, here, interface, network)


def check_plugged_networks(old: VirtualMachineInstance, new: VirtualMachineInstance) -> list[Problem]:
    """A change by a component: interfaces change their state, and such as can be plugged in come."""
    before = {interface.name: interface for interface in old.spec.domain.devices.interfaces}
    networks = {network.name: network for network in new.spec.networks}
    if old.spec.networks == new.spec.networks and list(before.values()) == new.spec.domain.devices.interfaces:
        return []
    findings = Findings()
    for index, interface in enumerate(new.spec.domain.devices.interfaces):
        here = f"spec.domain.devices.interfaces[{index}]"
        was = before.get(interface.name)
        if was is None and not pluggable(interface, networks.get(interface.name)):
            findings.add(here, f"interface {interface.name} cannot be plugged into a running guest")
        elif was is not None and msgspec.structs.replace(was, state=interface.state) != interface:
            findings.add(here, f"interface {interface.name} of a running guest can change its state only")
    check_networks(findings, "spec", new.spec)
    return findings.problems


def _networks(findings: Findings, path: str, networks: list[Network], connected: set[str]) -> None:
    base = f"{path}.networks"
    names: set[str] = set()
    defaults = pods = 0
    for index, network in enumerate(networks):
        here = f"{base}[{index}]"
        if network.name in names:
            message = f'Network with name "{network.name}" already exists, every network must have a unique name'
            findings.add(f"{here}.name", message, Reason.DUPLICATE)
        names.add(network.name)
        _cidrs(findings, here, network)
        kinds = [kind for kind in (network.pod, network.multus, network.resource_claim) if kind is not None]
        if not kinds:
            findings.required(here, "should have a network type")
        elif len(kinds) > 1:
            findings.required(here, "should have only one network type")
        if network.multus is not None and not network.multus.network_name:
            findings.required(here, "CNI delegating plugin must have a networkName")
        if network.name not in connected:
            findings.required(f"{here}.name", f"{here}.name '{network.name}' not found.")
        pods += network.pod is not None
        defaults += network.multus is not None and bool(network.multus.default)
    if defaults > 1:
        findings.add(base, "Multus CNI should only have one default network")
    if defaults and pods:
        findings.add(base, "Pod network cannot be defined when Multus default network is defined")
    if pods > 1:
        where = f"{path}.interfaces"
        findings.add(where, f"more than one interface is connected to a pod network in {where}", Reason.DUPLICATE)


def _cidrs(findings: Findings, here: str, network: Network) -> None:
    """Networks behind masquerade: the first address is the bridge's, the second the guest's."""
    if network.pod is None:
        return
    for name, text, version, longest in (
        ("vmNetworkCIDR", network.pod.vm_network_cidr, 4, 30),
        ("vmIPv6NetworkCIDR", network.pod.vm_ipv6_network_cidr, 6, 126),
    ):
        if not text:
            continue
        try:
            net = ipaddress.ip_network(text, strict=False)
        except ValueError:
            findings.add(f"{here}.pod.{name}", f"{text!r} is no network such as 10.0.2.0/24 or fd10:0:2::/120")
            continue
        if net.version != version or net.prefixlen > longest:
            findings.add(f"{here}.pod.{name}", f"{text!r} is no IPv{version} network with room for two addresses")


def _binding(findings: Findings, here: str, interface: Interface, network: Network | None) -> None:
    for name in _DISCONTINUED:
        if getattr(interface, name) is not None:
            message = f"{name.capitalize()} interface support has been discontinued since v1.3"
            findings.add(f"{here}.{name}", message)
    bindings = (interface.bridge, interface.masquerade, interface.sriov, interface.passt_binding, interface.binding)
    if sum(binding is not None for binding in bindings) != 1:
        message = f"logical {interface.name} interface must have exactly one binding method or binding plugin"
        findings.add(here, message)
    on_pod_network = network is not None and network.pod is not None
    if interface.bridge is not None and on_pod_network and NO_BRIDGE_ON_POD_NETWORK in findings.gates:
        findings.add(f"{here}.name", "Bridge on pod network configuration is not enabled under kubevirt-config")
    if interface.sriov is not None and network is not None and network.multus is None:
        findings.add(f"{here}.name", "SR-IOV interface only implemented with a Multus network")
    if interface.masquerade is not None and (network is None or network.pod is None):
        findings.add(f"{here}.name", "Masquerade interface only implemented with pod network")
    if interface.masquerade is not None and (interface.mac_address or "").lower() == _BRIDGE_MAC:
        message = "The requested MAC address is reserved for the in-pod bridge. Please choose another one."
        findings.add(f"{here}.macAddress", message)


def _identity(findings: Findings, here: str, interface: Interface) -> None:
    if not _NAME.match(interface.name):
        message = (
            "Network interface name can only contain alphabetical characters, numbers, dashes (-) or underscores (_)"
        )
        findings.add(f"{here}.name", message)
    if interface.model and interface.model not in _MODELS:
        message = f"interface {here}.name uses model {interface.model} that is not supported."
        findings.add(f"{here}.model", message, Reason.NOT_SUPPORTED)
    if interface.mac_address and not is_mac_address(interface.mac_address):
        message = f"interface {here}.name has malformed MAC address ({interface.mac_address})."
        findings.add(f"{here}.macAddress", message)
    if interface.pci_address and not PCI_ADDRESS.match(interface.pci_address):
        message = f"interface {here}.name has malformed PCI address ({interface.pci_address})."
        findings.add(f"{here}.pciAddress", message)
    if interface.acpi_index is not None and not 0 <= interface.acpi_index <= 16 * 1024 - 1:
        findings.add(f"{here}.acpiIndex", f"{here}.acpiIndex must be between 1 and 16383")


def _ports(findings: Findings, here: str, interface: Interface) -> None:
    names: set[str] = set()
    for index, port in enumerate(interface.ports):
        where = f"{here}.ports[{index}]"
        if port.port == 0:
            findings.required(f"{where}.port", "Port field is mandatory.")
        elif not 0 < port.port < 65536:
            findings.add(f"{where}.port", "Port field must be in range 0 < x < 65536.")
        if port.protocol and port.protocol not in ("TCP", "UDP"):
            findings.add(f"{where}.protocol", "Unknown protocol, only TCP or UDP allowed")
        if port.name:
            if port.name in names:
                findings.add(f"{where}.name", f"Duplicate name of the port: {port.name}", Reason.DUPLICATE)
            if not _is_port_name(port.name):
                findings.add(f"{where}.name", f"Invalid name of the port: {port.name}")
            names.add(port.name)


def _is_port_name(name: str) -> bool:
    """Kubernetes' rule for names of ports: at most 15 of a-z, 0-9 and single dashes inside, with a letter."""
    return len(name) <= 15 and _PORT_NAME.match(name) is not None and "--" not in name


def _dhcp(findings: Findings, path: str, here: str, interface: Interface) -> None:
    options = interface.dhcp_options
    if options is None:
        return
    numbers = [option.option for option in options.private_options]
    if len(set(numbers)) != len(numbers):
        findings.add(path, "Found Duplicates: you have provided duplicate DHCPPrivateOptions")
    if any(not 224 <= number <= 254 for number in numbers):
        findings.add(path, "provided DHCPPrivateOptions are out of range, must be in range 224 to 254")
    for index, server in enumerate(options.ntp_servers):
        try:
            ipaddress.IPv4Address(server)
        except ValueError:
            message = "NTP servers must be a list of valid IPv4 addresses."
            findings.add(f"{here}.dhcpOptions.ntpServers[{index}]", message)


def _state(findings: Findings, here: str, interface: Interface, network: Network | None) -> None:
    state = interface.state
    if state in (None, "", "up", "down"):
        return
    if state != "absent":
        findings.add(f"{here}.state", f"logical {interface.name} interface state value is unsupported: {state}")
        return
    if interface.bridge is None:
        message = f'"{interface.name}" interface\'s state "absent" is supported only for bridge binding'
        findings.add(f"{here}.state", message)
    if network is not None and (network.pod is not None or (network.multus is not None and network.multus.default)):
        message = f'"{interface.name}" interface\'s state "absent" is not supported on default networks'
        findings.add(f"{here}.state", message)
