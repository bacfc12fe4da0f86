"""Names that VirtualMachine controllers share with users and with other components. Source: KubeVirt's API."""

from typing import Final

__all__ = [
    "FINAL_PHASES",
    "NODE_NAME_LABEL",
    "VMI_FINALIZER",
    "VM_FINALIZER",
    "VM_GENERATION_ANNOTATION",
]

VM_FINALIZER: Final = "kubevirt.io/virtualMachineControllerFinalize"
"""On a VirtualMachine and on the instances it owns: the VirtualMachine controller has still to see the end."""

VMI_FINALIZER: Final = "kubevirt.io/foregroundDeleteVirtualMachine"
"""On every instance: its pod has still to go."""

NODE_NAME_LABEL: Final = "kubevirt.io/nodeName"
"""Hands the instance over to the virt-handler of that node."""

VM_GENERATION_ANNOTATION: Final = "kubevirt.io/vm-generation"

FINAL_PHASES: Final = ("Succeeded", "Failed")
