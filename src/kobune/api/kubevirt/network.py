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
    request_name: str | None = None


class Port(Object, frozen=True, kw_only=True):
    """A port of the guest; `protocol` is TCP or UDP."""

    name: str | None = None
    port: Int32
    protocol: str | None = None


class PortRange(Object, frozen=True, kw_only=True):
    """An inclusive range of ports."""

    end: Int32
    protocol: str
    start: Int32


class DHCPPrivateOptions(Object, frozen=True, kw_only=True):
    """A site-specific DHCP option, number 224 to 254."""

    option: Int32
    value: str


class DHCPOptions(Object, frozen=True, kw_only=True):
    """What the DHCP server tells the guest besides its address."""

    boot_file_name: str | None = None
    ntp_servers: list[str] = []
    private_options: list[DHCPPrivateOptions] = []
    tftp_server_name: str | None = None


class PluginBinding(Object, frozen=True, kw_only=True):
    """A network binding plugin, by its name in the KubeVirt configuration."""

    name: str


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
    acpi_index: Int32 | None = None
    binding: PluginBinding | None = None
    boot_order: Int32 | None = None
    bridge: InterfaceBridge | None = None
    dhcp_options: DHCPOptions | None = None
    mac_address: str | None = None
    macvtap: DeprecatedInterfaceMacvtap | None = None
    masquerade: InterfaceMasquerade | None = None
    model: str | None = None
    passt: DeprecatedInterfacePasst | None = None
    passt_binding: InterfacePasstBinding | None = None
    pci_address: str | None = None
    port_ranges: list[PortRange] = []
    ports: list[Port] = []
    slirp: DeprecatedInterfaceSlirp | None = None
    sriov: InterfaceSRIOV | None = None
    state: str | None = None
    tag: str | None = None


class PodNetwork(Object, frozen=True, kw_only=True):
    """The network of the pod; the CIDRs are those behind masquerade."""

    vm_ipv6_network_cidr: str | None = field(name="vmIPv6NetworkCIDR", default=None)
    vm_network_cidr: str | None = field(name="vmNetworkCIDR", default=None)


class MultusNetwork(Object, frozen=True, kw_only=True):
    """A NetworkAttachmentDefinition, as `name` or `namespace/name`."""

    network_name: str
    default: bool | None = None


class Network(Object, frozen=True, kw_only=True):
    """A network; exactly one of `pod` and `multus` (a resource claim counts as well)."""

    name: str
    multus: MultusNetwork | None = None
    pod: PodNetwork | None = None
    resource_claim: ClaimRequest | None = None


class InterfaceBindingMigration(Object, frozen=True, kw_only=True):
    """How a binding plugin's interface migrates."""

    method: str | None = None
