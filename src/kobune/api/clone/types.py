"""Copies of virtual machines. Source: clone.kubevirt.io/v1beta1."""

from msgspec import field

from kobune.api.core import TypedLocalObjectReference
from kobune.api.meta import Object, ObjectMeta, Time
from kobune.api.snapshot.types import Condition

__all__ = [
    "VirtualMachineClone",
    "VirtualMachineCloneSpec",
    "VirtualMachineCloneStatus",
    "VirtualMachineCloneTemplateFilters",
]


class VirtualMachineCloneTemplateFilters(Object, frozen=True, kw_only=True):
    """Labels and annotations of the template to be left out."""

    annotation_filters: list[str] = []
    """Patterns of annotations to copy; `!` before one leaves them out."""
    label_filters: list[str] = []
    """Patterns of labels to copy; `!` before one leaves them out."""


class VirtualMachineCloneSpec(Object, frozen=True, kw_only=True):
    """Source and target, and what is not copied."""

    source: TypedLocalObjectReference
    annotation_filters: list[str] = []
    """Patterns of annotations to copy; `!` before one leaves them out."""
    label_filters: list[str] = []
    """Patterns of labels to copy; `!` before one leaves them out."""
    new_mac_addresses: dict[str, str] = {}
    """MAC addresses by interface; the others are made up."""
    new_sm_bios_serial: str | None = field(name="newSMBiosSerial", default=None)
    """The SMBIOS serial number of the copy."""
    patches: list[str] = []
    """JSON patches for the copy."""
    target: TypedLocalObjectReference | None = None
    template: VirtualMachineCloneTemplateFilters | None = None
    volume_name_policy: str | None = None
    """How claims of the copy are named."""


class VirtualMachineCloneStatus(Object, frozen=True, kw_only=True):
    """How far the copy is."""

    conditions: list[Condition] = []
    """What is true of the clone, one by one."""
    creation_time: Time | None = None
    """When it ended."""
    phase: str | None = None
    """How far it is."""
    restore_name: str | None = None
    """The restore in use."""
    snapshot_name: str | None = None
    """The snapshot in use."""
    target_name: str | None = None
    """The copy."""


class VirtualMachineClone(Object, frozen=True, kw_only=True):
    """Makes a machine like another."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineCloneSpec
    status: VirtualMachineCloneStatus = VirtualMachineCloneStatus()
