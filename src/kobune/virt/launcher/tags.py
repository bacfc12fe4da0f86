"""Tags of devices, for the guest: which device has which tag, as metadata of its config drive. Pure.

libvirt gives devices their addresses when a domain is defined; where they are is read from its description. The format
is OpenStack's device role tagging, with KubeVirt's types (`nic`, `disk`, `hostdev`).
"""

import xml.etree.ElementTree as ElementTree
from typing import Any

from kobune.api.kubevirt.instance import VirtualMachineInstance

__all__ = ["device_metadata", "tagged_drive"]


def tagged_drive(vmi: VirtualMachineInstance) -> str:
    """The volume of the config drive that is to tell of tags; empty without one, or without any tag."""
    drive = next((volume.name for volume in vmi.spec.volumes if volume.cloud_init_config_drive is not None), "")
    return drive if _tags(vmi) else ""


def device_metadata(vmi: VirtualMachineInstance, domain_xml: str) -> list[dict[str, Any]]:
    """One entry per tagged device of the domain, in its order; a device without an address has none."""
    tags = _tags(vmi)
    found: list[dict[str, Any]] = []
    for element in ElementTree.fromstring(domain_xml).iterfind("devices/*"):  # noqa: S314 - libvirt wrote it
        alias = element.find("alias")
        kind, tag = tags.get((element.tag, alias.get("name", "") if alias is not None else ""), ("", ""))
        address = element.find("address")
        if not tag or address is None:
            continue
        entry: dict[str, Any] = {"type": kind, "bus": address.get("type", ""), "address": _address(address)}
        mac, serial = element.find("mac"), element.findtext("serial")
        if mac is not None:
            entry["mac"] = mac.get("address", "")
        if serial:
            entry["serial"] = serial
        found.append({**entry, "tags": [tag]})
    return found


def _tags(vmi: VirtualMachineInstance) -> dict[tuple[str, str], tuple[str, str]]:
    """By libvirt's element and alias: the type and the tag."""
    devices = vmi.spec.domain.devices
    named = (
        *(("interface", "nic", f"ua-{one.name}", one.tag) for one in devices.interfaces),
        *(("hostdev", "nic", f"ua-sriov-{one.name}", one.tag) for one in devices.interfaces),
        *(("disk", "disk", f"ua-{one.name}", one.tag) for one in devices.disks),
        *(("hostdev", "hostdev", f"ua-gpu-{one.name}", one.tag) for one in devices.gpus),
        *(("hostdev", "hostdev", f"ua-hostdevice-{one.name}", one.tag) for one in devices.host_devices),
    )
    return {(element, alias): (kind, tag) for element, kind, alias, tag in named if tag}


def _address(address: ElementTree.Element) -> str:
    """`0000:01:00.0` on PCI; `0:0:0:0` (controller, bus, target, unit) on others, `1.2` on USB."""
    if address.get("type") == "pci":
        domain, bus, slot, function = (
            int(address.get(name, "0"), 16) for name in ("domain", "bus", "slot", "function")
        )
        return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
    if address.get("type") == "usb":
        return f"{address.get('bus', '0')}.{address.get('port', '0')}"
    return ":".join(address.get(name, "0") for name in ("controller", "bus", "target", "unit"))
