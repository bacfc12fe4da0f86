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
    label_filters: list[str] = []


class VirtualMachineCloneSpec(Object, frozen=True, kw_only=True):
    """Source and target, and what is not copied."""

    source: TypedLocalObjectReference
    annotation_filters: list[str] = []
    label_filters: list[str] = []
    new_mac_addresses: dict[str, str] = {}
    new_sm_bios_serial: str | None = field(name="newSMBiosSerial", default=None)
    patches: list[str] = []
    target: TypedLocalObjectReference | None = None
    template: VirtualMachineCloneTemplateFilters | None = None
    volume_name_policy: str | None = None


class VirtualMachineCloneStatus(Object, frozen=True, kw_only=True):
    """How far the copy is."""

    conditions: list[Condition] = []
    creation_time: Time | None = None
    phase: str | None = None
    restore_name: str | None = None
    snapshot_name: str | None = None
    target_name: str | None = None


class VirtualMachineClone(Object, frozen=True, kw_only=True):
    """Makes a machine like another."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineCloneSpec
    status: VirtualMachineCloneStatus = VirtualMachineCloneStatus()
