"""VirtualMachinePool: a number of equal virtual machines with numbered names."""
