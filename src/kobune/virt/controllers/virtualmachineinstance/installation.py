"""What the installation's configuration does not allow an instance, so that it gets no pod. Pure.

Messages are KubeVirt's.
"""

from collections.abc import Iterator
from typing import Final

from kobune.api.kubevirt import KubeVirtConfiguration, PermittedHostDevices, VirtualMachineInstanceSpec
from kobune.virt.domain.hostdevices import wanted

__all__ = ["FAILED_CREATE", "forbidden_by"]

FAILED_CREATE: Final = "FailedCreate"


def forbidden_by(spec: VirtualMachineInstanceSpec, configuration: KubeVirtConfiguration | None) -> str:
    """Why there can be no pod; empty when nothing speaks against it."""
    return " ".join(_devices(spec, configuration.permitted_host_devices if configuration is not None else None))


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
