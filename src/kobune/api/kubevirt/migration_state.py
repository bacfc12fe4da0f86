"""What an instance tells about its live migration. Source: kubevirt.io/v1 (VirtualMachineInstanceMigrationState)."""

from msgspec import field

from kobune.api.meta import Int32, Int64, Object, QuantityValue, Time

__all__ = [
    "DowntimeTuningOptions",
    "ExperimentalMigrationOptions",
    "MigrationConfiguration",
    "StallDetectorOptions",
    "VMIMConfigurationOptions",
    "VirtualMachineInstanceMigrationSourceState",
    "VirtualMachineInstanceMigrationState",
    "VirtualMachineInstanceMigrationTargetState",
]


class VirtualMachineInstanceMigrationSourceState(Object, frozen=True, kw_only=True):
    """The source's side of a migration."""

    domain_name: str | None = None
    """The domain's name."""
    domain_namespace: str | None = None
    """Its namespace."""
    migration_uid: str | None = field(name="migrationUID", default=None)
    """The migration's uid."""
    node: str | None = None
    """The node."""
    node_selectors: dict[str, str] = {}
    """Labels that the target's node must have."""
    persistent_state_pvc_name: str | None = field(name="persistentStatePVCName", default=None)
    """The claim with firmware variables and TPM state."""
    pod: str | None = None
    """The launcher pod."""
    selinux_context: str | None = None
    """The launcher's SELinux context."""
    sync_address: str | None = None
    """Where this side's cluster is reached."""
    virtual_machine_instance_uid: str | None = field(name="virtualMachineInstanceUID", default=None)
    """The instance's uid."""


class VirtualMachineInstanceMigrationTargetState(Object, frozen=True, kw_only=True):
    """The target's side of a migration."""

    attachment_pod_uid: str | None = field(name="attachmentPodUID", default=None)
    """The pod that holds plugged volumes."""
    cpu_set: list[Int32] = []
    """CPUs that are set aside."""
    direct_migration_node_ports: dict[str, Int32] = {}
    """Ports of the node and what they are for."""
    domain_detected: bool | None = None
    """Whether the domain is there."""
    domain_name: str | None = None
    """The domain's name."""
    domain_namespace: str | None = None
    """Its namespace."""
    domain_ready_timestamp: Time | None = None
    """When the domain was ready."""
    migration_uid: str | None = field(name="migrationUID", default=None)
    """The migration's uid."""
    node: str | None = None
    """The node."""
    node_address: str | None = None
    """The node's address."""
    node_topology: str | None = None
    """The node's CPUs and memory, as JSON."""
    persistent_state_pvc_name: str | None = field(name="persistentStatePVCName", default=None)
    """The claim with firmware variables and TPM state."""
    pod: str | None = None
    """The launcher pod."""
    selinux_context: str | None = None
    """The launcher's SELinux context."""
    sync_address: str | None = None
    """Where this side's cluster is reached."""
    virtual_machine_instance_uid: str | None = field(name="virtualMachineInstanceUID", default=None)
    """The instance's uid."""


class DowntimeTuningOptions(Object, frozen=True, kw_only=True):
    """How the downtime limit of a migration is raised."""

    cooldown_seconds: Int32 | None = None
    """Time between two steps."""
    initial_ms: Int64 | None = None
    """The first limit, in milliseconds."""
    start_after_iteration: Int64 | None = None
    """The iteration after which it begins."""
    steps: Int32 | None = None
    """How many steps."""


class StallDetectorOptions(Object, frozen=True, kw_only=True):
    """When a migration counts as stalled."""

    completion_timeout_factor: QuantityValue | None = None
    """What the completion time-out is multiplied by."""
    ewma_alpha: QuantityValue | None = None
    """Weight of the newest measurement."""
    patience_window_decay_factor: QuantityValue | None = None
    """How fast patience shrinks."""
    precopy_possible_factor: QuantityValue | None = None
    """How far from converging still counts as possible."""
    search_local_minima: bool | None = None
    """Whether to switch over at a local minimum."""
    stall_margin: Int64 | None = None
    """Progress below this counts as none."""
    stall_progress_timeout: Int64 | None = None
    """Seconds without progress."""
    switchover_timeout: Int64 | None = None
    """Seconds that switching over may take."""


class ExperimentalMigrationOptions(Object, frozen=True, kw_only=True):
    """Options without promise of stability."""

    compression: str | None = None
    """How memory is compressed on its way."""
    downtime_tuning: DowntimeTuningOptions | None = None
    stall_detector: StallDetectorOptions | None = None


class MigrationConfiguration(Object, frozen=True, kw_only=True):
    """Limits and policy of live migrations."""

    allow_auto_converge: bool | None = None
    """Whether a guest is slowed down that writes faster than it can be copied."""
    allow_post_copy: bool | None = None
    """Whether a guest may go over before all its memory has."""
    allow_workload_disruption: bool | None = None
    """Whether a guest may be paused to finish."""
    bandwidth_per_migration: QuantityValue | None = None
    """The most bytes a second; 0 means no limit."""
    completion_timeout_per_gib: Int64 | None = field(name="completionTimeoutPerGiB", default=None)
    """Seconds per GiB of memory until a migration is given up."""
    disable_tls: bool | None = field(name="disableTLS", default=None)
    """Sends memory unencrypted."""
    match_selinux_level_on_migration: bool | None = field(name="matchSELinuxLevelOnMigration", default=None)
    """Whether the target gets the source's SELinux level."""
    max_downtime_ms: Int64 | None = None
    """The longest pause at the end, in milliseconds."""
    network: str | None = None
    """The NetworkAttachmentDefinition that migrations go over."""
    node_drain_taint_key: str | None = None
    """The taint that means that a node is being emptied."""
    parallel_migrations_per_cluster: Int64 | None = None
    """How many at once in the cluster; 5 if left out."""
    parallel_outbound_migrations_per_node: Int64 | None = None
    """How many at once from one node; 2 if left out."""
    progress_timeout: Int64 | None = None
    """Seconds without progress until a migration is given up."""
    unsafe_migration_override: bool | None = None
    """Migrates even what the hypervisor calls unsafe."""
    utility_volumes_timeout: Int64 | None = None
    """Seconds that utility volumes may take to be taken off."""


class VMIMConfigurationOptions(MigrationConfiguration, frozen=True, kw_only=True):
    """The migration settings that one migration runs with."""

    experimental: ExperimentalMigrationOptions | None = None


class VirtualMachineInstanceMigrationState(Object, frozen=True, kw_only=True):
    """The migration under way, or the last one."""

    abort_requested: bool | None = None
    """Whether somebody wants it to end."""
    abort_status: str | None = None
    """What became of that."""
    completed: bool | None = None
    """Whether it ended."""
    end_timestamp: Time | None = None
    """When it ended."""
    failed: bool | None = None
    """Whether it failed."""
    failure_reason: str | None = None
    """Why."""
    migration_configuration: VMIMConfigurationOptions | None = None
    migration_network_type: str | None = None
    """Pod or Migration: the network that it goes over."""
    migration_policy_name: str | None = None
    """The policy in force."""
    migration_uid: str | None = None
    """The migration's uid."""
    mode: str | None = None
    """PreCopy, PostCopy or Paused."""
    source_node: str | None = None
    """The node that it leaves."""
    source_persistent_state_pvc_name: str | None = field(name="sourcePersistentStatePVCName", default=None)
    """The source's claim with firmware variables and TPM state."""
    source_pod: str | None = None
    """The launcher pod that it leaves."""
    source_state: VirtualMachineInstanceMigrationSourceState | None = None
    start_timestamp: Time | None = None
    """When it began."""
    target_attachment_pod_uid: str | None = field(name="targetAttachmentPodUID", default=None)
    """The pod that holds plugged volumes at the target."""
    target_cpu_set: list[Int32] = field(name="targetCPUSet", default_factory=list)
    """CPUs that are set aside at the target."""
    target_direct_migration_node_ports: dict[str, Int32] = {}
    """Ports of the target's node and what they are for."""
    target_memory_overhead: QuantityValue | None = None
    """What the virtualization needs at the target."""
    target_node: str | None = None
    """The node that it goes to."""
    target_node_address: str | None = None
    """The target node's address."""
    target_node_domain_detected: bool | None = None
    """Whether the domain is at the target."""
    target_node_domain_ready_timestamp: Time | None = None
    """When the domain was ready at the target."""
    target_node_topology: str | None = None
    """The target node's CPUs and memory, as JSON."""
    target_persistent_state_pvc_name: str | None = field(name="targetPersistentStatePVCName", default=None)
    """The target's claim with firmware variables and TPM state."""
    target_pod: str | None = None
    """The launcher pod that it goes to."""
    target_state: VirtualMachineInstanceMigrationTargetState | None = None
