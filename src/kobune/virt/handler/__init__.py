"""virt-handler: the node's side of virtual machines, one per node, privileged, seen by no guest.

`instance/` observes, decides and acts per VirtualMachineInstance of this node; `launchers` holds the lines to the
launchers; `network/` makes a guest's network; `devices/` the device plugins; `server/` console, VNC and commands over
TLS; `heartbeat` announces the node; `run` composes all of it.
"""
