"""VirtualMachineInstanceReplicaSet: a number of equal instances."""
