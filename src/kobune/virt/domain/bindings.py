"""Network binding plugins of the installation: which one an interface names, and how it gets into the domain. Pure.

A plugin's own part is done by its CNI plugin (a NetworkAttachmentDefinition that the pod gets) or by a sidecar. How the
guest's end is made, is its `domainAttachmentType`: `tap`, a tap device that its CNI plugin makes under the name that
`networks.tap_name` gives; `managedTap`, a tap that virt-handler bridges to the pod's interface, without DHCP.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from kobune.api.kubevirt import Interface, InterfaceBindingPlugin, KubeVirtConfiguration, VirtualMachineInstanceSpec

__all__ = ["MANAGED_TAP", "TAP", "binding_plugins", "used_plugins"]

TAP: Final = "tap"
MANAGED_TAP: Final = "managedTap"


def binding_plugins(configuration: KubeVirtConfiguration | None) -> Mapping[str, InterfaceBindingPlugin]:
    """The registered plugins, by name."""
    network = configuration.network if configuration is not None else None
    return network.binding if network is not None else {}


def used_plugins(spec: VirtualMachineInstanceSpec) -> Iterator[tuple[Interface, str]]:
    """Interfaces that are bound by a plugin, and its name."""
    for interface in spec.domain.devices.interfaces:
        if interface.binding is not None and interface.state != "absent":
            yield interface, interface.binding.name
