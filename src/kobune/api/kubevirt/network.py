"""Interfaces and networks of a guest. Source: kubevirt.io/v1 (Interface, Network and below)."""

from msgspec import field

from kobune.api.meta import Int32, Object

__all__ = [
    "ClaimRequest",
    "DHCPOptions",
    "DHCPPrivateOptions",
    "DeprecatedInterfaceMacvtap",
    "DeprecatedInterfacePasst",
    "DeprecatedInterfaceSlirp",
    "Interface",
    "InterfaceBindingMigration",
    "InterfaceBridge",
    "InterfaceMasquerade",
    "InterfacePasstBinding",
    "InterfaceSRIOV",
    "MultusNetwork",
    "Network",
    "PluginBinding",
    "PodNetwork",
    "Port",
    "PortRange",
]


class ClaimRequest(Object, frozen=True, kw_only=True):
    """Names a resource claim of the VMI and a request in it."""

    claim_name: str | None = None
    """The resource claim of the VMI."""
    request_name: str | None = None
    """The request in that claim."""


class Port(Object, frozen=True, kw_only=True):
    """A port of the guest; `protocol` is TCP or UDP."""

    name: str | None = None
    """A name for the port."""
    port: Int32
    """The port's number."""
    protocol: str | None = None
    """TCP or UDP; TCP if left out."""


class PortRange(Object, frozen=True, kw_only=True):
    """An inclusive range of ports."""

    end: Int32
    """The last port."""
    protocol: str
    """TCP or UDP."""
    start: Int32
    """The first port."""


class DHCPPrivateOptions(Object, frozen=True, kw_only=True):
    """A site-specific DHCP option, number 224 to 254."""

    option: Int32
    """The option's number."""
    value: str
    """The option's value."""


class DHCPOptions(Object, frozen=True, kw_only=True):
    """What the DHCP server tells the guest besides its address."""

    boot_file_name: str | None = None
    """Option 67: the file to boot from the network."""
    ntp_servers: list[str] = []
    """Option 42: time servers, as IPv4 addresses."""
    private_options: list[DHCPPrivateOptions] = []
    """Options of your own."""
    tftp_server_name: str | None = None
    """Option 66: where that file is."""


class PluginBinding(Object, frozen=True, kw_only=True):
    """A network binding plugin, by its name in the KubeVirt configuration."""

    name: str
    """The plugin's name."""


class InterfaceBridge(Object, frozen=True, kw_only=True):
    """The pod's address goes to the guest."""


class InterfaceMasquerade(Object, frozen=True, kw_only=True):
    """NAT behind the pod's address."""


class InterfaceSRIOV(Object, frozen=True, kw_only=True):
    """A virtual function is passed through."""


class InterfacePasstBinding(Object, frozen=True, kw_only=True):
    """User-mode network by passt."""


class DeprecatedInterfaceSlirp(Object, frozen=True, kw_only=True):
    """No longer supported."""


class DeprecatedInterfaceMacvtap(Object, frozen=True, kw_only=True):
    """No longer supported."""


class DeprecatedInterfacePasst(Object, frozen=True, kw_only=True):
    """No longer supported."""


class Interface(Object, frozen=True, kw_only=True):
    """One NIC; `name` is that of its network. At most one binding. `state` is up, down or absent."""

    name: str
    """The name of the network that it is on."""
    acpi_index: Int32 | None = None
    """A number by which the guest can name it predictably."""
    binding: PluginBinding | None = None
    boot_order: Int32 | None = None
    """Position in the boot order, from 1: boots from the network."""
    bridge: InterfaceBridge | None = None
    dhcp_options: DHCPOptions | None = None
    mac_address: str | None = None
    """The MAC address, such as `02:00:00:00:00:01`; made up if left out."""
    macvtap: DeprecatedInterfaceMacvtap | None = None
    masquerade: InterfaceMasquerade | None = None
    model: str | None = None
    """virtio, e1000, e1000e, igb, ne2k_pci, pcnet or rtl8139; virtio if left out."""
    passt: DeprecatedInterfacePasst | None = None
    passt_binding: InterfacePasstBinding | None = None
    pci_address: str | None = None
    """Its place on the PCI bus, such as `0000:81:01.0`."""
    port_ranges: list[PortRange] = []
    """Ranges of ports that are forwarded to the guest."""
    ports: list[Port] = []
    """The ports that are forwarded to the guest; all if left out."""
    slirp: DeprecatedInterfaceSlirp | None = None
    sriov: InterfaceSRIOV | None = None
    state: str | None = None
    """up or down sets the link, absent unplugs it."""
    tag: str | None = None
    """A label that the guest finds in its metadata."""


class PodNetwork(Object, frozen=True, kw_only=True):
    """The network of the pod; the CIDRs are those behind masquerade."""

    vm_ipv6_network_cidr: str | None = field(name="vmIPv6NetworkCIDR", default=None)
    """The guest's IPv6 network behind masquerade; fd10:0:2::/120 if left out."""
    vm_network_cidr: str | None = field(name="vmNetworkCIDR", default=None)
    """The guest's IPv4 network behind masquerade; 10.0.2.0/24 if left out."""


class MultusNetwork(Object, frozen=True, kw_only=True):
    """A NetworkAttachmentDefinition, as `name` or `namespace/name`."""

    network_name: str
    """The NetworkAttachmentDefinition."""
    default: bool | None = None
    """Makes it the pod's own network instead of the cluster's."""


class Network(Object, frozen=True, kw_only=True):
    """A network; exactly one of `pod` and `multus` (a resource claim counts as well)."""

    name: str
    """By this name interfaces refer to it."""
    multus: MultusNetwork | None = None
    pod: PodNetwork | None = None
    resource_claim: ClaimRequest | None = None


class InterfaceBindingMigration(Object, frozen=True, kw_only=True):
    """How a binding plugin's interface migrates."""

    method: str | None = None
    """link-refresh takes the link down and up afterwards."""
