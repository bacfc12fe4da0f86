"""virt-launcher: the one process beside libvirt and QEMU in a VM's pod. Makes a VMI a domain and tells its state.

`run` composes it, `service` carries out commands, `observation` turns what libvirt says into states (pure), `storage`
and `cloudinit` prepare disks, `guest` asks the agent, `journal` keeps what must survive this process.
No Kubernetes client in here: this process faces an untrusted guest.
"""
