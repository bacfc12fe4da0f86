"""VirtualMachineInstance: launcher pod, phases up to the handover to virt-handler, deletion."""
