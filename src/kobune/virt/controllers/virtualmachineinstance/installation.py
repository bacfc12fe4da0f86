"""What the installation's configuration does not allow an instance, so that it gets no pod. Pure.

Messages are KubeVirt's.
"""

from collections.abc import Iterator, Mapping

from kobune.api.kubevirt import (
    InterfaceBindingPlugin,
    KubeVirtConfiguration,
    PermittedHostDevices,
    VirtualMachineInstanceSpec,
)
from kobune.virt.domain.bindings import MANAGED_TAP, TAP, binding_plugins, used_plugins
from kobune.virt.domain.hostdevices import wanted

__all__ = ["forbidden_by"]


def forbidden_by(spec: VirtualMachineInstanceSpec, configuration: KubeVirtConfiguration | None) -> str:
    """Why there can be no pod; empty when nothing speaks against it."""
    permitted = configuration.permitted_host_devices if configuration is not None else None
    return " ".join((*_devices(spec, permitted), *_bindings(spec, binding_plugins(configuration))))


def _bindings(spec: VirtualMachineInstanceSpec, plugins: Mapping[str, InterfaceBindingPlugin]) -> Iterator[str]:
    for _, name in used_plugins(spec):
        plugin = plugins.get(name)
        if plugin is None:
            yield f"couldn't find configuration for network binding: {name}"
        elif plugin.sidecar_image:
            yield f"network binding {name} needs a sidecar, which is not supported yet"
        elif plugin.domain_attachment_type not in (TAP, MANAGED_TAP):
            yield f"network binding {name} has no domainAttachmentType that is supported: tap or managedTap"


def _devices(spec: VirtualMachineInstanceSpec, permitted: PermittedHostDevices | None) -> Iterator[str]:
    """Without a list, whatever nodes offer may be asked for: then no plugin of Kobune's own offers anything."""
    if permitted is None:
        return
    resources = {one.resource_name for one in permitted.pci_host_devices}
    resources |= {one.resource_name for one in permitted.mediated_devices}
    resources |= {one.resource_name for one in permitted.usb}
    for one in wanted(spec):
        if one.resource not in resources:
            kind = "GPU" if one.gpu else "HostDevice"
            yield f"{kind} {one.resource} is not permitted in permittedHostDevices configuration"
