"""What a domain depends on besides the VMI: facts of this node and of this pod, gathered by virt-handler.

Owns: the input types of rendering. They travel from virt-handler to virt-launcher inside `SyncVirtualMachine`.
They must not carry anything that can be read from the VMI itself.
"""

from msgspec import Struct

__all__ = ["DiskFacts", "Facts", "InterfaceFacts"]


class Fact(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of all facts: frozen, keyword-only, camelCase on the wire, unknown fields ignored."""


class InterfaceFacts(Fact, frozen=True, kw_only=True):
    """One interface that virt-handler made ready in the pod's network namespace.

    `name` is the VMI's interface and network name, `tap` the existing tap device that QEMU opens, `mac` the guest's
    address, `queues` the number of queue pairs that the tap was made for (1: a single-queue tap). An SR-IOV interface
    has no tap: `pci` is the address of its device on the node.
    """

    name: str
    tap: str = ""
    mac: str = ""
    mtu: int = 1500
    queues: int = 1
    bridge: str = ""
    pci: str = ""


class DiskFacts(Fact, frozen=True, kw_only=True):
    """Where a volume's disk is found inside the pod; only for volumes whose place is not given by their kind.

    `path` is a file, or a block device when `block`. `format` is `raw` or `qcow2`.
    """

    volume: str
    path: str
    format: str = "raw"
    read_only: bool = False
    block: bool = False


class Facts(Fact, frozen=True, kw_only=True):
    """Everything about the node and the pod that the domain depends on.

    `kvm` is true only where virt-handler proved that guests run in KVM, never because /dev/kvm exists.
    `architecture` is the kernel's name (`x86_64`), `host_cpus` the processors of the node.
    `interfaces` and `disks` are those that virt-handler prepared; `nested` says that the host CPU offers vmx or svm.
    `plugged` are the volumes that are to be plugged in and whose data is in the container now.
    """

    kvm: bool = False
    architecture: str = "x86_64"
    host_cpus: int = 1
    nested: bool = False
    interfaces: list[InterfaceFacts] = []
    disks: list[DiskFacts] = []
    plugged: list[str] = []
