"""Devices of the node that a guest asks for, and which of them its pod was given. Pure.

A device plugin tells a container in its environment what it gave: `PREFIX_RESOURCE` with a comma-separated list, where
RESOURCE is the resource's name in capitals with `_` for `/` and `.`. The names are KubeVirt's, so that plugins made for
it work here: `PCI_RESOURCE` (PCI addresses), `MDEV_PCI_RESOURCE` (UUIDs), `USB_RESOURCE` (`bus:device`).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kobune.api.kubevirt import VGPUOptions, VirtualMachineInstanceSpec

__all__ = [
    "MDEV_PREFIX",
    "PCI_PREFIX",
    "PREFIXES",
    "USB_PREFIX",
    "Wanted",
    "asks_for_devices",
    "environment_name",
    "given_ids",
    "resources",
    "wanted",
]

PCI_PREFIX: Final = "PCI_RESOURCE"
MDEV_PREFIX: Final = "MDEV_PCI_RESOURCE"
USB_PREFIX: Final = "USB_RESOURCE"
PREFIXES: Final = (PCI_PREFIX, MDEV_PREFIX, USB_PREFIX)
_FORMS: Final = {
    PCI_PREFIX: re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]"),
    MDEV_PREFIX: re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    USB_PREFIX: re.compile(r"[0-9]{1,3}:[0-9]{1,3}"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry of `gpus` or `hostDevices`; `field` is its path below `devices`."""

    field: str
    name: str
    resource: str
    gpu: bool = False
    options: VGPUOptions | None = None


def wanted(spec: VirtualMachineInstanceSpec) -> Iterator[Wanted]:
    """GPUs first, then the others, in their order."""
    devices = spec.domain.devices
    for index, gpu in enumerate(devices.gpus):
        yield Wanted(f"gpus[{index}]", gpu.name, gpu.device_name or "", True, gpu.virtual_gpu_options)
    for index, device in enumerate(devices.host_devices):
        yield Wanted(f"hostDevices[{index}]", device.name, device.device_name or "")


def asks_for_devices(spec: VirtualMachineInstanceSpec) -> bool:
    """Whether the guest is to have any device of its node."""
    devices = spec.domain.devices
    return bool(devices.gpus or devices.host_devices or any(one.sriov is not None for one in devices.interfaces))


def resources(spec: VirtualMachineInstanceSpec) -> dict[str, str]:
    """What the launcher's container asks for: how many of each resource."""
    counted = Counter(one.resource for one in wanted(spec) if one.resource)
    return {resource: str(count) for resource, count in counted.items()}


def environment_name(prefix: str, resource: str) -> str:
    """The variable in which a plugin tells what it gave."""
    return f"{prefix}_{resource.upper().replace('/', '_').replace('.', '_')}"


def given_ids(environment: Mapping[str, str], prefix: str, resource: str) -> list[str]:
    """What a container was given of a resource; a word that is not of the prefix's form is left out."""
    words = environment.get(environment_name(prefix, resource), "").split(",")
    return [word for word in words if _FORMS[prefix].fullmatch(word)]
