"""What is known about a VirtualMachineInstance. Source: kubevirt.io/v1 (VirtualMachineInstanceStatus and below)."""

from msgspec import field

from kobune.api.kubevirt.firmware import Machine
from kobune.api.kubevirt.migration_state import VirtualMachineInstanceMigrationState
from kobune.api.meta import Int32, Int64, Object, QuantityValue, Time

__all__ = [
    "CPUTopology",
    "ChangedBlockTrackingStatus",
    "ContainerDiskInfo",
    "CustomProfile",
    "DomainMemoryDumpInfo",
    "HotplugVolumeStatus",
    "InitrdInfo",
    "KernelBootStatus",
    "KernelInfo",
    "MemoryStatus",
    "PersistentVolumeClaimInfo",
    "StorageMigratedVolumeInfo",
    "TopologyHints",
    "VirtualMachineInstanceBackupStatus",
    "VirtualMachineInstanceBackupVolumeInfo",
    "VirtualMachineInstanceCondition",
    "VirtualMachineInstanceGuestOSInfo",
    "VirtualMachineInstanceNetworkInterface",
    "VirtualMachineInstancePhaseTransitionTimestamp",
    "VirtualMachineInstanceProfile",
    "VirtualMachineInstanceStatus",
    "VolumeStatus",
]


class VirtualMachineInstanceCondition(Object, frozen=True, kw_only=True):
    """`type` such as Ready, LiveMigratable, AgentConnected or Paused; `status` is True, False or Unknown."""

    type: str
    """Which condition it is."""
    last_probe_time: Time | None = None
    """When it was last looked at."""
    last_transition_time: Time | None = None
    """When the status last changed."""
    message: str | None = None
    """What it means, for people."""
    reason: str | None = None
    """One word for programs."""
    status: str
    """True, False or Unknown."""


class VirtualMachineInstanceGuestOSInfo(Object, frozen=True, kw_only=True):
    """The guest's own words about its operating system."""

    name: str | None = None
    """Name of the system."""
    id: str | None = None
    """Short name of the system, such as debian."""
    kernel_release: str | None = None
    """Release of the kernel."""
    kernel_version: str | None = None
    """Version of the kernel."""
    machine: str | None = None
    """Architecture."""
    pretty_name: str | None = None
    """Name for people."""
    version: str | None = None
    """Version of the system."""
    version_id: str | None = None
    """Short version of the system."""


class VirtualMachineInstanceNetworkInterface(Object, frozen=True, kw_only=True):
    """An interface as pod, domain or guest agent see it (`infoSource` says which)."""

    name: str | None = None
    """The network's name in the VMI."""
    info_source: str | None = None
    """Who reports it: domain, guest-agent, multus-status."""
    interface_name: str | None = None
    """The interface's name in the guest."""
    ip_address: str | None = None
    """The first of its addresses."""
    ip_addresses: list[str] = []
    """All addresses."""
    link_state: str | None = None
    """up or down."""
    mac: str | None = None
    """The MAC address."""
    pod_interface_name: str | None = None
    """The interface's name in the pod."""
    queue_count: Int32 | None = None
    """How many queues it has."""


class VirtualMachineInstancePhaseTransitionTimestamp(Object, frozen=True, kw_only=True):
    """When a phase was entered."""

    phase: str | None = None
    """The phase."""
    phase_transition_timestamp: Time | None = None
    """When it was entered."""


class CustomProfile(Object, frozen=True, kw_only=True):
    """A seccomp profile by file."""

    localhost_profile: str | None = None
    """A profile in the node's seccomp folder."""
    runtime_default_profile: bool | None = None
    """Whether the runtime's own profile is used."""


class CPUTopology(Object, frozen=True, kw_only=True):
    """CPU counts in use."""

    cores: Int64 | None = None
    """Cores per socket."""
    sockets: Int64 | None = None
    """Sockets."""
    threads: Int64 | None = None
    """Threads per core."""


class MemoryStatus(Object, frozen=True, kw_only=True):
    """Guest memory at boot, now and as asked for."""

    guest_at_boot: QuantityValue | None = None
    """Memory that the guest booted with."""
    guest_current: QuantityValue | None = None
    """Memory that it has now."""
    guest_requested: QuantityValue | None = None
    """Memory that was asked for."""
    memory_overhead: QuantityValue | None = None
    """What the virtualization itself needs."""


class InitrdInfo(Object, frozen=True, kw_only=True):
    """Checksum of an initrd."""

    checksum: Int64 | None = None
    """The checksum."""


class KernelInfo(Object, frozen=True, kw_only=True):
    """Checksum of a kernel."""

    checksum: Int64 | None = None
    """The checksum."""


class KernelBootStatus(Object, frozen=True, kw_only=True):
    """What was booted directly."""

    initrd_info: InitrdInfo | None = None
    kernel_info: KernelInfo | None = None


class ContainerDiskInfo(Object, frozen=True, kw_only=True):
    """Checksum of a container disk."""

    checksum: Int64 | None = None
    """The checksum."""


class DomainMemoryDumpInfo(Object, frozen=True, kw_only=True):
    """State of a memory dump."""

    claim_name: str | None = None
    """The claim that receives it."""
    end_timestamp: Time | None = None
    """When it ended."""
    start_timestamp: Time | None = None
    """When it began."""
    target_file_name: str | None = None
    """The file in the claim."""


class HotplugVolumeStatus(Object, frozen=True, kw_only=True):
    """The pod that holds a plugged volume."""

    attach_pod_name: str | None = None
    """The pod's name."""
    attach_pod_uid: str | None = field(name="attachPodUID", default=None)
    """The pod's uid."""


class PersistentVolumeClaimInfo(Object, frozen=True, kw_only=True):
    """The claim's facts that matter to the VM."""

    access_modes: list[str] = []
    """How it may be mounted."""
    capacity: dict[str, QuantityValue] = {}
    """Its real size."""
    claim_name: str | None = None
    """The claim."""
    filesystem_overhead: str | None = None
    """The share of a file system that is not for the disk."""
    preallocated: bool | None = None
    """Whether all its space is taken from the beginning."""
    requests: dict[str, QuantityValue] = {}
    """The size that was asked for."""
    volume_mode: str | None = None
    """Filesystem or Block."""


class VirtualMachineInstanceBackupVolumeInfo(Object, frozen=True, kw_only=True):
    """A volume that is part of a backup."""

    volume_name: str
    """The volume."""


class VirtualMachineInstanceBackupStatus(Object, frozen=True, kw_only=True):
    """The backup under way."""

    backup_msg: str | None = None
    """What happened."""
    backup_name: str | None = None
    """The backup."""
    checkpoint_name: str | None = None
    """Its checkpoint."""
    completed: bool | None = None
    """Whether it ended."""
    end_timestamp: Time | None = None
    """When it ended."""
    failed: bool | None = None
    """Whether it failed."""
    quiesce_status: str | None = None
    """Whether the guest was frozen."""
    start_timestamp: Time | None = None
    """When it began."""
    volumes: list[VirtualMachineInstanceBackupVolumeInfo] = []
    """Volumes that are part of it."""


class ChangedBlockTrackingStatus(Object, frozen=True, kw_only=True):
    """State of changed block tracking."""

    state: str
    """Enabled, Disabled, Initializing, PendingRestart and others."""
    backup_status: VirtualMachineInstanceBackupStatus | None = None


class VolumeStatus(Object, frozen=True, kw_only=True):
    """A volume's target in the guest, its size in bytes, and how far plugging is."""

    name: str
    """The volume."""
    target: str
    """The disk's name in the guest, such as vda."""
    container_disk_volume: ContainerDiskInfo | None = None
    hotplug_volume: HotplugVolumeStatus | None = None
    memory_dump_volume: DomainMemoryDumpInfo | None = None
    message: str | None = None
    """Why it is in this phase."""
    persistent_volume_claim_info: PersistentVolumeClaimInfo | None = None
    phase: str | None = None
    """Pending, Bound, AttachedToNode, MountedToPod, Ready, Detaching, UnMountedFromPod and others."""
    reason: str | None = None
    """One word for programs."""
    size: Int64 | None = None
    """Size in bytes."""


class TopologyHints(Object, frozen=True, kw_only=True):
    """TSC frequency that the node must offer."""

    tsc_frequency: Int64 | None = None
    """The frequency, in Hz."""


class StorageMigratedVolumeInfo(Object, frozen=True, kw_only=True):
    """A volume on its way to other storage."""

    volume_name: str
    """The volume."""
    destination_pvc_info: PersistentVolumeClaimInfo | None = field(name="destinationPVCInfo", default=None)
    source_pvc_info: PersistentVolumeClaimInfo | None = field(name="sourcePVCInfo", default=None)


class VirtualMachineInstanceProfile(Object, frozen=True, kw_only=True):
    """A security profile."""

    custom_profile: CustomProfile | None = None


class VirtualMachineInstanceStatus(Object, frozen=True, kw_only=True):
    """`phase` is Pending, Scheduling, Scheduled, Running, Succeeded, Failed, Unknown or WaitingForSync."""

    vsock_cid: Int64 | None = field(name="VSOCKCID", default=None)
    """The guest's address for vsock."""
    active_pods: dict[str, str] = {}
    """The launcher pods and their nodes, by uid of the pod."""
    changed_block_tracking: ChangedBlockTrackingStatus | None = None
    conditions: list[VirtualMachineInstanceCondition] = []
    """What is true of the instance, one by one."""
    current_cpu_topology: CPUTopology | None = field(name="currentCPUTopology", default=None)
    evacuation_node_name: str | None = None
    """The node that it has to leave."""
    fs_freeze_status: str | None = None
    """frozen while the guest's file systems are held."""
    guest_os_info: VirtualMachineInstanceGuestOSInfo | None = field(name="guestOSInfo", default=None)
    interfaces: list[VirtualMachineInstanceNetworkInterface] = []
    """Network interfaces as they are."""
    kernel_boot_status: KernelBootStatus | None = None
    launcher_container_image_version: str | None = None
    """The launcher image in use."""
    machine: Machine | None = None
    memory: MemoryStatus | None = None
    migrated_volumes: list[StorageMigratedVolumeInfo] = []
    """Volumes that move to other storage."""
    migration_method: str | None = None
    """BlockMigration or LiveMigration."""
    migration_state: VirtualMachineInstanceMigrationState | None = None
    migration_transport: str | None = None
    """Unix if migrations go over unix sockets."""
    node_name: str | None = None
    """The node that it runs on."""
    phase: str | None = None
    """Where in its life it is."""
    phase_transition_timestamps: list[VirtualMachineInstancePhaseTransitionTimestamp] = []
    """When each phase was entered."""
    qos_class: str | None = None
    """The pod's class of service."""
    reason: str | None = None
    """Why it is in this phase."""
    runtime_user: Int64 | None = None
    """The user id that QEMU runs as."""
    selinux_context: str | None = None
    """The SELinux context of the launcher."""
    topology_hints: TopologyHints | None = None
    virtual_machine_revision_name: str | None = None
    """The ControllerRevision of the machine's specification."""
    volume_status: list[VolumeStatus] = []
    """Volumes as they are."""
