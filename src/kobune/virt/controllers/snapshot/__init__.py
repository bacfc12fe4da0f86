"""VirtualMachineSnapshot: what a machine is made of, kept to be brought back."""
