"""clone.kubevirt.io/v1beta1: copies of virtual machines."""

from kobune.api.clone.types import (
    VirtualMachineClone,
    VirtualMachineCloneSpec,
    VirtualMachineCloneStatus,
    VirtualMachineCloneTemplateFilters,
)

__all__ = [
    "VirtualMachineClone",
    "VirtualMachineCloneSpec",
    "VirtualMachineCloneStatus",
    "VirtualMachineCloneTemplateFilters",
]
