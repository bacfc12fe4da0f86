"""What the guest's computer is made of. Source: kubevirt.io/v1 (DomainSpec and below)."""

from kobune.api.kubevirt.devices import Devices, DiskIOThreads
from kobune.api.kubevirt.features import Clock, Features
from kobune.api.kubevirt.firmware import Chassis, Firmware, Machine
from kobune.api.meta import Int64, Object, QuantityValue

__all__ = [
    "CPU",
    "NUMA",
    "SEV",
    "SEVSNP",
    "TDX",
    "CPUFeature",
    "DomainSpec",
    "Hugepages",
    "LaunchSecurity",
    "Memory",
    "NUMAGuestMappingPassthrough",
    "Realtime",
    "ReservedOverhead",
    "ResourceRequirements",
    "SEVAttestation",
    "SEVPolicy",
]


class CPUFeature(Object, frozen=True, kw_only=True):
    """`policy` is force, require (the default), optional, disable or forbid."""

    name: str
    """The feature as libvirt names it, such as `vmx` or `pcid`."""
    policy: str | None = None
    """What happens if the node has or lacks the feature; require if left out."""


class NUMAGuestMappingPassthrough(Object, frozen=True, kw_only=True):
    """The guest's NUMA nodes mirror those of its dedicated CPUs."""


class NUMA(Object, frozen=True, kw_only=True):
    """NUMA layout of the guest."""

    guest_mapping_passthrough: NUMAGuestMappingPassthrough | None = None


class Realtime(Object, frozen=True, kw_only=True):
    """Real-time vCPUs; `mask` selects them."""

    mask: str | None = None
    """The vCPUs that run with real-time priority, such as `0-3,^1`; all if left out."""


class CPU(Object, frozen=True, kw_only=True):
    """Topology, model and features; counts are per level (sockets x cores x threads)."""

    cores: Int64 | None = None
    """Cores per socket; 1 if left out."""
    dedicated_cpu_placement: bool | None = None
    """Pins every vCPU to a CPU of the node that nothing else uses."""
    features: list[CPUFeature] = []
    """CPU features to add, to require or to hide, beyond those of the model."""
    isolate_emulator_thread: bool | None = None
    """Gives QEMU's own threads a dedicated CPU as well; needs dedicated placement."""
    max_sockets: Int64 | None = None
    """How many sockets the guest may have at most; left out, sockets cannot grow while it runs."""
    model: str | None = None
    """`host-model`, `host-passthrough`, or a model that libvirt knows, such as `Skylake-Server`."""
    numa: NUMA | None = None
    realtime: Realtime | None = None
    sockets: Int64 | None = None
    """Sockets; 1 if left out."""
    threads: Int64 | None = None
    """Threads per core; 1 if left out."""


class Hugepages(Object, frozen=True, kw_only=True):
    """`page_size` such as 2Mi or 1Gi."""

    page_size: str | None = None
    """Size of one page; the node must have such pages."""


class ReservedOverhead(Object, frozen=True, kw_only=True):
    """Memory of the host that belongs to the VM beyond the guest's own."""

    added_overhead: QuantityValue | None = None
    """Memory reserved beyond what is computed."""
    mem_lock: str | None = None
    """Whether all memory of the process must be locked: Required or NotRequired."""


class Memory(Object, frozen=True, kw_only=True):
    """`guest` is what the guest sees, `max_guest` how far it may be raised while it runs."""

    guest: QuantityValue | None = None
    """What the guest sees as its memory."""
    hugepages: Hugepages | None = None
    max_guest: QuantityValue | None = None
    """How far the guest's memory may grow while it runs."""
    reserved_overhead: ReservedOverhead | None = None


class ResourceRequirements(Object, frozen=True, kw_only=True):
    """What the launcher pod asks of the node."""

    limits: dict[str, QuantityValue] = {}
    """The most that the pod may use, by resource."""
    overcommit_guest_overhead: bool | None = None
    """Leaves the memory of the virtualization itself out of the request."""
    requests: dict[str, QuantityValue] = {}
    """What the pod is promised, by resource; left out, the guest's memory and a share of its CPUs."""


class SEVPolicy(Object, frozen=True, kw_only=True):
    """Policy bits of an AMD SEV guest."""

    encrypted_state: bool | None = None
    """Whether CPU registers are encrypted as well (SEV-ES)."""


class SEVAttestation(Object, frozen=True, kw_only=True):
    """The guest waits for attestation before it starts."""


class SEV(Object, frozen=True, kw_only=True):
    """AMD SEV."""

    attestation: SEVAttestation | None = None
    dh_cert: str | None = None
    """The guest owner's Diffie-Hellman key, base64."""
    policy: SEVPolicy | None = None
    session: str | None = None
    """The guest owner's session blob, base64."""


class SEVSNP(Object, frozen=True, kw_only=True):
    """AMD SEV-SNP."""


class TDX(Object, frozen=True, kw_only=True):
    """Intel TDX."""


class LaunchSecurity(Object, frozen=True, kw_only=True):
    """Confidential computing; at most one kind."""

    sev: SEV | None = None
    snp: SEVSNP | None = None
    tdx: TDX | None = None


class DomainSpec(Object, frozen=True, kw_only=True):
    """Everything that becomes the libvirt domain. `ioThreadsPolicy` is shared, auto or supplementalPool."""

    devices: Devices
    chassis: Chassis | None = None
    clock: Clock | None = None
    cpu: CPU | None = None
    features: Features | None = None
    firmware: Firmware | None = None
    io_threads: DiskIOThreads | None = None
    io_threads_policy: str | None = None
    """How disks share I/O threads: shared, auto or supplementalPool."""
    launch_security: LaunchSecurity | None = None
    machine: Machine | None = None
    memory: Memory | None = None
    reboot_policy: str | None = None
    """What a reboot from inside does: Reboot keeps the instance, Terminate ends it."""
    resources: ResourceRequirements | None = None
