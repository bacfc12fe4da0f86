"""Devices of nodes and network bindings that machines may use. Source: kubevirt.io/v1 (KubeVirtConfiguration)."""

from msgspec import field

from kobune.api.kubevirt.network import InterfaceBindingMigration
from kobune.api.meta import Object, QuantityValue

__all__ = [
    "InterfaceBindingPlugin",
    "MediatedDevicesConfiguration",
    "MediatedHostDevice",
    "NetworkConfiguration",
    "NodeMediatedDeviceTypesConfig",
    "PciHostDevice",
    "PermittedHostDevices",
    "ResourceRequirementsWithoutClaims",
    "USBHostDevice",
    "USBSelector",
]


class MediatedHostDevice(Object, frozen=True, kw_only=True):
    """A mediated device that VMs may use."""

    mdev_name_selector: str
    """The type's name."""
    resource_name: str
    """The resource under which nodes offer it."""
    external_resource_provider: bool | None = None
    """Whether another device plugin offers it."""


class NodeMediatedDeviceTypesConfig(Object, frozen=True, kw_only=True):
    """Mediated device types on selected nodes."""

    node_selector: dict[str, str]
    """Labels of the nodes."""
    mediated_device_types: list[str] = []
    """The types."""
    mediated_devices_types: list[str] = []
    """The old name of mediatedDeviceTypes."""


class MediatedDevicesConfiguration(Object, frozen=True, kw_only=True):
    """Mediated device types to be made on nodes."""

    enabled: bool | None = None
    """Whether they are made; true if left out."""
    mediated_device_types: list[str] = []
    """The types."""
    mediated_devices_types: list[str] = []
    """The old name of mediatedDeviceTypes."""
    node_mediated_device_types: list[NodeMediatedDeviceTypesConfig] = []
    """Types for some nodes."""


class ResourceRequirementsWithoutClaims(Object, frozen=True, kw_only=True):
    """Requests and limits."""

    limits: dict[str, QuantityValue] = {}
    """The most that may be used, by resource."""
    requests: dict[str, QuantityValue] = {}
    """What is promised, by resource."""


class InterfaceBindingPlugin(Object, frozen=True, kw_only=True):
    """A network binding plugin."""

    compute_resource_overhead: ResourceRequirementsWithoutClaims | None = None
    domain_attachment_type: str | None = None
    """How the interface gets into the domain: tap or managedTap."""
    downward_api: str | None = field(name="downwardAPI", default=None)
    """device-info hands the devices' information to the sidecar."""
    migration: InterfaceBindingMigration | None = None
    network_attachment_definition: str | None = None
    """The NetworkAttachmentDefinition that prepares the pod."""
    sidecar_image: str | None = None
    """The image of the sidecar."""


class NetworkConfiguration(Object, frozen=True, kw_only=True):
    """Defaults of networks and the binding plugins."""

    binding: dict[str, InterfaceBindingPlugin] = {}
    """Binding plugins by name."""
    default_network_interface: str | None = None
    """The binding of machines that name none: bridge or masquerade."""
    permit_bridge_interface_on_pod_network: bool | None = None
    """Whether bridge is allowed on the pod network; true if left out."""
    permit_slirp_interface: bool | None = None
    """No longer used."""


class PciHostDevice(Object, frozen=True, kw_only=True):
    """A PCI device that VMs may use."""

    pci_vendor_selector: str
    """Vendor and device id, such as `10DE:1EB8`."""
    resource_name: str
    """The resource under which nodes offer it."""
    external_resource_provider: bool | None = None
    """Whether another device plugin offers it."""


class USBSelector(Object, frozen=True, kw_only=True):
    """A USB device by vendor and product."""

    product: str
    """The product id, in hex."""
    vendor: str
    """The vendor id, in hex."""


class USBHostDevice(Object, frozen=True, kw_only=True):
    """USB devices that VMs may use."""

    resource_name: str
    """The resource under which nodes offer them."""
    external_resource_provider: bool | None = None
    """Whether another device plugin offers them."""
    selectors: list[USBSelector] = []
    """The devices that make up one."""


class PermittedHostDevices(Object, frozen=True, kw_only=True):
    """Devices of nodes that VMs may use."""

    mediated_devices: list[MediatedHostDevice] = []
    """Mediated devices."""
    pci_host_devices: list[PciHostDevice] = []
    """PCI devices."""
    usb: list[USBHostDevice] = []
    """USB devices."""
