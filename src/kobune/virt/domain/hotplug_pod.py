"""Names and places in the pods that bring plugged volumes to a node.

virt-controller makes these pods, virt-handler looks into them.
Pure. Labels are KubeVirt's where it has one.
"""

from typing import Final

__all__ = ["ATTACHMENT_APP", "VOLUME_LABEL", "device_in_attachment", "folder_in_attachment"]

ATTACHMENT_APP: Final = "hotplug-disk"
"""Value of the label kubevirt.io, and the container's name."""

VOLUME_LABEL: Final = "kobune.io/hotplug-volume"
"""The volume that the pod holds; a volume's name is a label value."""


def folder_in_attachment(volume: str) -> str:
    """Where the pod has a volume with a file system."""
    return f"/hotplug/{volume}"


def device_in_attachment(volume: str) -> str:
    """Where the pod has a volume without one."""
    return f"/dev/hotplug/{volume}"
