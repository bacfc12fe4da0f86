"""VirtualMachineRestore: a machine as a snapshot has it."""
