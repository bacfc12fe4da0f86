"""One VirtualMachineInstance on this node: from the handover by virt-controller to its end.

`observe` gathers, `decide` (pure) says what to do, `status` (pure) renders what is told to the API, `apply` does it.
"""
