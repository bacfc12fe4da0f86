"""VirtualMachineClone: makes a machine like another, as far as nothing on disks has to be copied."""
