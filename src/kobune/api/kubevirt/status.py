"""What is known about a VirtualMachineInstance. Source: kubevirt.io/v1 (VirtualMachineInstanceStatus and below)."""

from msgspec import field

from kobune.api.kubevirt.domain import Machine
from kobune.api.meta import Int32, Int64, Object, QuantityValue, Time

__all__ = [
    "CPUTopology",
    "ChangedBlockTrackingStatus",
    "ContainerDiskInfo",
    "CustomProfile",
    "DomainMemoryDumpInfo",
    "DowntimeTuningOptions",
    "ExperimentalMigrationOptions",
    "HotplugVolumeStatus",
    "InitrdInfo",
    "KernelBootStatus",
    "KernelInfo",
    "MemoryStatus",
    "MigrationConfiguration",
    "PersistentVolumeClaimInfo",
    "StallDetectorOptions",
    "StorageMigratedVolumeInfo",
    "TopologyHints",
    "VMIMConfigurationOptions",
    "VirtualMachineInstanceBackupStatus",
    "VirtualMachineInstanceBackupVolumeInfo",
    "VirtualMachineInstanceCondition",
    "VirtualMachineInstanceGuestOSInfo",
    "VirtualMachineInstanceMigrationSourceState",
    "VirtualMachineInstanceMigrationState",
    "VirtualMachineInstanceMigrationTargetState",
    "VirtualMachineInstanceNetworkInterface",
    "VirtualMachineInstancePhaseTransitionTimestamp",
    "VirtualMachineInstanceProfile",
    "VirtualMachineInstanceStatus",
    "VolumeStatus",
]


class VirtualMachineInstanceCondition(Object, frozen=True, kw_only=True):
    """`type` such as Ready, LiveMigratable, AgentConnected or Paused; `status` is True, False or Unknown."""

    type: str
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str


class VirtualMachineInstanceGuestOSInfo(Object, frozen=True, kw_only=True):
    """The guest's own words about its operating system."""

    name: str | None = None
    id: str | None = None
    kernel_release: str | None = None
    kernel_version: str | None = None
    machine: str | None = None
    pretty_name: str | None = None
    version: str | None = None
    version_id: str | None = None


class VirtualMachineInstanceNetworkInterface(Object, frozen=True, kw_only=True):
    """An interface as pod, domain or guest agent see it (`infoSource` says which)."""

    name: str | None = None
    info_source: str | None = None
    interface_name: str | None = None
    ip_address: str | None = None
    ip_addresses: list[str] = []
    link_state: str | None = None
    mac: str | None = None
    pod_interface_name: str | None = None
    queue_count: Int32 | None = None


class VirtualMachineInstancePhaseTransitionTimestamp(Object, frozen=True, kw_only=True):
    """When a phase was entered."""

    phase: str | None = None
    phase_transition_timestamp: Time | None = None


class CustomProfile(Object, frozen=True, kw_only=True):
    """A seccomp profile by file."""

    localhost_profile: str | None = None
    runtime_default_profile: bool | None = None


class CPUTopology(Object, frozen=True, kw_only=True):
    """CPU counts in use."""

    cores: Int64 | None = None
    sockets: Int64 | None = None
    threads: Int64 | None = None


class MemoryStatus(Object, frozen=True, kw_only=True):
    """Guest memory at boot, now and as asked for."""

    guest_at_boot: QuantityValue | None = None
    guest_current: QuantityValue | None = None
    guest_requested: QuantityValue | None = None
    memory_overhead: QuantityValue | None = None


class InitrdInfo(Object, frozen=True, kw_only=True):
    """Checksum of an initrd."""

    checksum: Int64 | None = None


class KernelInfo(Object, frozen=True, kw_only=True):
    """Checksum of a kernel."""

    checksum: Int64 | None = None


class KernelBootStatus(Object, frozen=True, kw_only=True):
    """What was booted directly."""

    initrd_info: InitrdInfo | None = None
    kernel_info: KernelInfo | None = None


class ContainerDiskInfo(Object, frozen=True, kw_only=True):
    """Checksum of a container disk."""

    checksum: Int64 | None = None


class DomainMemoryDumpInfo(Object, frozen=True, kw_only=True):
    """State of a memory dump."""

    claim_name: str | None = None
    end_timestamp: Time | None = None
    start_timestamp: Time | None = None
    target_file_name: str | None = None


class HotplugVolumeStatus(Object, frozen=True, kw_only=True):
    """The pod that holds a plugged volume."""

    attach_pod_name: str | None = None
    attach_pod_uid: str | None = field(name="attachPodUID", default=None)


class PersistentVolumeClaimInfo(Object, frozen=True, kw_only=True):
    """The claim's facts that matter to the VM."""

    access_modes: list[str] = []
    capacity: dict[str, QuantityValue] = {}
    claim_name: str | None = None
    filesystem_overhead: str | None = None
    preallocated: bool | None = None
    requests: dict[str, QuantityValue] = {}
    volume_mode: str | None = None


class VirtualMachineInstanceBackupVolumeInfo(Object, frozen=True, kw_only=True):
    """A volume that is part of a backup."""

    volume_name: str


class VirtualMachineInstanceBackupStatus(Object, frozen=True, kw_only=True):
    """The backup under way."""

    backup_msg: str | None = None
    backup_name: str | None = None
    checkpoint_name: str | None = None
    completed: bool | None = None
    end_timestamp: Time | None = None
    failed: bool | None = None
    quiesce_status: str | None = None
    start_timestamp: Time | None = None
    volumes: list[VirtualMachineInstanceBackupVolumeInfo] = []


class ChangedBlockTrackingStatus(Object, frozen=True, kw_only=True):
    """State of changed block tracking."""

    state: str
    backup_status: VirtualMachineInstanceBackupStatus | None = None


class VolumeStatus(Object, frozen=True, kw_only=True):
    """A volume's target in the guest, its size in bytes, and how far plugging is."""

    name: str
    target: str
    container_disk_volume: ContainerDiskInfo | None = None
    hotplug_volume: HotplugVolumeStatus | None = None
    memory_dump_volume: DomainMemoryDumpInfo | None = None
    message: str | None = None
    persistent_volume_claim_info: PersistentVolumeClaimInfo | None = None
    phase: str | None = None
    reason: str | None = None
    size: Int64 | None = None


class TopologyHints(Object, frozen=True, kw_only=True):
    """TSC frequency that the node must offer."""

    tsc_frequency: Int64 | None = None


class StorageMigratedVolumeInfo(Object, frozen=True, kw_only=True):
    """A volume on its way to other storage."""

    volume_name: str
    destination_pvc_info: PersistentVolumeClaimInfo | None = field(name="destinationPVCInfo", default=None)
    source_pvc_info: PersistentVolumeClaimInfo | None = field(name="sourcePVCInfo", default=None)


class VirtualMachineInstanceProfile(Object, frozen=True, kw_only=True):
    """A security profile."""

    custom_profile: CustomProfile | None = None


class VirtualMachineInstanceMigrationSourceState(Object, frozen=True, kw_only=True):
    """The source's side of a migration."""

    domain_name: str | None = None
    domain_namespace: str | None = None
    migration_uid: str | None = field(name="migrationUID", default=None)
    node: str | None = None
    node_selectors: dict[str, str] = {}
    persistent_state_pvc_name: str | None = field(name="persistentStatePVCName", default=None)
    pod: str | None = None
    selinux_context: str | None = None
    sync_address: str | None = None
    virtual_machine_instance_uid: str | None = field(name="virtualMachineInstanceUID", default=None)


class VirtualMachineInstanceMigrationTargetState(Object, frozen=True, kw_only=True):
    """The target's side of a migration."""

    attachment_pod_uid: str | None = field(name="attachmentPodUID", default=None)
    cpu_set: list[Int32] = []
    direct_migration_node_ports: dict[str, Int32] = {}
    domain_detected: bool | None = None
    domain_name: str | None = None
    domain_namespace: str | None = None
    domain_ready_timestamp: Time | None = None
    migration_uid: str | None = field(name="migrationUID", default=None)
    node: str | None = None
    node_address: str | None = None
    node_topology: str | None = None
    persistent_state_pvc_name: str | None = field(name="persistentStatePVCName", default=None)
    pod: str | None = None
    selinux_context: str | None = None
    sync_address: str | None = None
    virtual_machine_instance_uid: str | None = field(name="virtualMachineInstanceUID", default=None)


class DowntimeTuningOptions(Object, frozen=True, kw_only=True):
    """How the downtime limit of a migration is raised."""

    cooldown_seconds: Int32 | None = None
    initial_ms: Int64 | None = None
    start_after_iteration: Int64 | None = None
    steps: Int32 | None = None


class StallDetectorOptions(Object, frozen=True, kw_only=True):
    """When a migration counts as stalled."""

    completion_timeout_factor: QuantityValue | None = None
    ewma_alpha: QuantityValue | None = None
    patience_window_decay_factor: QuantityValue | None = None
    precopy_possible_factor: QuantityValue | None = None
    search_local_minima: bool | None = None
    stall_margin: Int64 | None = None
    stall_progress_timeout: Int64 | None = None
    switchover_timeout: Int64 | None = None


class ExperimentalMigrationOptions(Object, frozen=True, kw_only=True):
    """Options without promise of stability."""

    compression: str | None = None
    downtime_tuning: DowntimeTuningOptions | None = None
    stall_detector: StallDetectorOptions | None = None


class VMIMConfigurationOptions(Object, frozen=True, kw_only=True):
    """The migration settings that one migration runs with."""

    allow_auto_converge: bool | None = None
    allow_post_copy: bool | None = None
    allow_workload_disruption: bool | None = None
    bandwidth_per_migration: QuantityValue | None = None
    completion_timeout_per_gib: Int64 | None = field(name="completionTimeoutPerGiB", default=None)
    disable_tls: bool | None = field(name="disableTLS", default=None)
    experimental: ExperimentalMigrationOptions | None = None
    match_selinux_level_on_migration: bool | None = field(name="matchSELinuxLevelOnMigration", default=None)
    max_downtime_ms: Int64 | None = None
    network: str | None = None
    node_drain_taint_key: str | None = None
    parallel_migrations_per_cluster: Int64 | None = None
    parallel_outbound_migrations_per_node: Int64 | None = None
    progress_timeout: Int64 | None = None
    unsafe_migration_override: bool | None = None
    utility_volumes_timeout: Int64 | None = None


class VirtualMachineInstanceMigrationState(Object, frozen=True, kw_only=True):
    """The migration under way, or the last one."""

    abort_requested: bool | None = None
    abort_status: str | None = None
    completed: bool | None = None
    end_timestamp: Time | None = None
    failed: bool | None = None
    failure_reason: str | None = None
    migration_configuration: VMIMConfigurationOptions | None = None
    migration_network_type: str | None = None
    migration_policy_name: str | None = None
    migration_uid: str | None = None
    mode: str | None = None
    source_node: str | None = None
    source_persistent_state_pvc_name: str | None = field(name="sourcePersistentStatePVCName", default=None)
    source_pod: str | None = None
    source_state: VirtualMachineInstanceMigrationSourceState | None = None
    start_timestamp: Time | None = None
    target_attachment_pod_uid: str | None = field(name="targetAttachmentPodUID", default=None)
    target_cpu_set: list[Int32] = field(name="targetCPUSet", default_factory=list)
    target_direct_migration_node_ports: dict[str, Int32] = {}
    target_memory_overhead: QuantityValue | None = None
    target_node: str | None = None
    target_node_address: str | None = None
    target_node_domain_detected: bool | None = None
    target_node_domain_ready_timestamp: Time | None = None
    target_node_topology: str | None = None
    target_persistent_state_pvc_name: str | None = field(name="targetPersistentStatePVCName", default=None)
    target_pod: str | None = None
    target_state: VirtualMachineInstanceMigrationTargetState | None = None


class MigrationConfiguration(Object, frozen=True, kw_only=True):
    """Limits and policy of live migrations."""

    allow_auto_converge: bool | None = None
    allow_post_copy: bool | None = None
    allow_workload_disruption: bool | None = None
    bandwidth_per_migration: QuantityValue | None = None
    completion_timeout_per_gib: Int64 | None = field(name="completionTimeoutPerGiB", default=None)
    disable_tls: bool | None = field(name="disableTLS", default=None)
    match_selinux_level_on_migration: bool | None = field(name="matchSELinuxLevelOnMigration", default=None)
    max_downtime_ms: Int64 | None = None
    network: str | None = None
    node_drain_taint_key: str | None = None
    parallel_migrations_per_cluster: Int64 | None = None
    parallel_outbound_migrations_per_node: Int64 | None = None
    progress_timeout: Int64 | None = None
    unsafe_migration_override: bool | None = None
    utility_volumes_timeout: Int64 | None = None


class VirtualMachineInstanceStatus(Object, frozen=True, kw_only=True):
    """`phase` is Pending, Scheduling, Scheduled, Running, Succeeded, Failed, Unknown or WaitingForSync."""

    vsock_cid: Int64 | None = field(name="VSOCKCID", default=None)
    active_pods: dict[str, str] = {}
    changed_block_tracking: ChangedBlockTrackingStatus | None = None
    conditions: list[VirtualMachineInstanceCondition] = []
    current_cpu_topology: CPUTopology | None = field(name="currentCPUTopology", default=None)
    evacuation_node_name: str | None = None
    fs_freeze_status: str | None = None
    guest_os_info: VirtualMachineInstanceGuestOSInfo | None = field(name="guestOSInfo", default=None)
    interfaces: list[VirtualMachineInstanceNetworkInterface] = []
    kernel_boot_status: KernelBootStatus | None = None
    launcher_container_image_version: str | None = None
    machine: Machine | None = None
    memory: MemoryStatus | None = None
    migrated_volumes: list[StorageMigratedVolumeInfo] = []
    migration_method: str | None = None
    migration_state: VirtualMachineInstanceMigrationState | None = None
    migration_transport: str | None = None
    node_name: str | None = None
    phase: str | None = None
    phase_transition_timestamps: list[VirtualMachineInstancePhaseTransitionTimestamp] = []
    qos_class: str | None = None
    reason: str | None = None
    runtime_user: Int64 | None = None
    selinux_context: str | None = None
    topology_hints: TopologyHints | None = None
    virtual_machine_revision_name: str | None = None
    volume_status: list[VolumeStatus] = []
