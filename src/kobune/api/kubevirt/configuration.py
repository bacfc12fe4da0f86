"""The configuration inside a KubeVirt resource. Source: kubevirt.io/v1 (KubeVirtConfiguration and below)."""

from msgspec import field

from kobune.api.kubevirt.migration_state import (
    MigrationConfiguration,
)
from kobune.api.kubevirt.permitted_devices import (
    MediatedDevicesConfiguration,
    NetworkConfiguration,
    PermittedHostDevices,
    ResourceRequirementsWithoutClaims,
)
from kobune.api.kubevirt.status import (
    VirtualMachineInstanceProfile,
)
from kobune.api.meta import Int32, Int64, LabelSelector, Object, QuantityValue

__all__ = [
    "ArchConfiguration",
    "ArchSpecificConfiguration",
    "ChangedBlockTrackingSelectors",
    "CommonInstancetypesDeployment",
    "ConfidentialComputeConfiguration",
    "DeveloperConfiguration",
    "DisableFreePageReporting",
    "DisableSerialConsoleLog",
    "DiskVerification",
    "HypervisorConfiguration",
    "InstancetypeConfiguration",
    "KSMConfiguration",
    "KubeVirtConfiguration",
    "LiveUpdateConfiguration",
    "LogVerbosity",
    "PersistentReservationConfiguration",
    "RESTClientConfiguration",
    "RateLimiter",
    "ReloadableComponentConfiguration",
    "SMBiosConfiguration",
    "SeccompConfiguration",
    "SupportContainerResources",
    "TDXAttestationConfiguration",
    "TDXConfiguration",
    "TLSConfiguration",
    "TokenBucketRateLimiter",
    "VirtTemplateDeployment",
    "VirtualMachineOptions",
]


class ChangedBlockTrackingSelectors(Object, frozen=True, kw_only=True):
    """Which namespaces and VMs get changed block tracking."""

    namespace_label_selector: LabelSelector | None = None
    virtual_machine_label_selector: LabelSelector | None = None


class DiskVerification(Object, frozen=True, kw_only=True):
    """Memory limit of the check of a container disk."""

    memory_limit: QuantityValue
    """The limit."""


class ArchSpecificConfiguration(Object, frozen=True, kw_only=True):
    """Defaults of one CPU architecture."""

    emulated_machines: list[str] = []
    """Patterns of machine types that are allowed."""
    machine_type: str | None = None
    """The default machine type."""
    ovmf_path: str | None = None
    """The folder of the UEFI images."""


class ArchConfiguration(Object, frozen=True, kw_only=True):
    """Defaults per CPU architecture."""

    amd64: ArchSpecificConfiguration | None = None
    arm64: ArchSpecificConfiguration | None = None
    default_architecture: str | None = None
    """The architecture of machines that name none."""
    ppc64le: ArchSpecificConfiguration | None = None
    s390x: ArchSpecificConfiguration | None = None


class CommonInstancetypesDeployment(Object, frozen=True, kw_only=True):
    """Whether the common instancetypes are installed."""

    enabled: bool | None = None
    """Whether they are installed; true if left out."""


class LogVerbosity(Object, frozen=True, kw_only=True):
    """Log levels per component and node."""

    node_verbosity: dict[str, Int32] = {}
    """Levels by node."""
    virt_api: Int32 | None = field(name="virtAPI", default=None)
    """The level, 0 to 9."""
    virt_controller: Int32 | None = None
    """The level, 0 to 9."""
    virt_handler: Int32 | None = None
    """The level, 0 to 9."""
    virt_launcher: Int32 | None = None
    """The level, 0 to 9."""
    virt_operator: Int32 | None = None
    """The level, 0 to 9."""
    virt_synchronization_controller: Int32 | None = None
    """The level, 0 to 9."""


class DeveloperConfiguration(Object, frozen=True, kw_only=True):
    """Settings for development; feature gates live here."""

    cluster_profiler: bool | None = None
    """Lets components be profiled."""
    cpu_allocation_ratio: Int32 | None = None
    """vCPUs per CPU that the pod asks for; 10 if left out."""
    disabled_feature_gates: list[str] = []
    """Feature gates that are off."""
    disk_verification: DiskVerification | None = None
    feature_gates: list[str] = []
    """Feature gates that are on."""
    log_verbosity: LogVerbosity | None = None
    memory_overcommit: Int32 | None = None
    """The guest's memory in percent of what the pod asks for; 100 if left out."""
    minimum_cluster_tsc_frequency: Int64 | None = field(name="minimumClusterTSCFrequency", default=None)
    """The lowest TSC frequency, in Hz."""
    minimum_reserve_pvc_bytes: Int64 | None = field(name="minimumReservePVCBytes", default=None)
    """Bytes of a claim's file system that stay free."""
    node_selectors: dict[str, str] = {}
    """Labels that every launcher's node must have."""
    pvc_tolerate_less_space_up_to_percent: Int32 | None = None
    """How much smaller than its disk a claim may be."""
    use_emulation: bool | None = None
    """Runs guests without KVM where there is none."""


class InstancetypeConfiguration(Object, frozen=True, kw_only=True):
    """How instancetypes are referred to."""

    reference_policy: str | None = None
    """What a machine keeps of its instancetype: reference, expand or expandAll."""


class HypervisorConfiguration(Object, frozen=True, kw_only=True):
    """Which hypervisor runs guests."""

    name: str | None = None
    """kvm or hyperv-direct."""


class KSMConfiguration(Object, frozen=True, kw_only=True):
    """Nodes on which equal memory pages are merged."""

    node_label_selector: LabelSelector | None = None


class LiveUpdateConfiguration(Object, frozen=True, kw_only=True):
    """Limits of live CPU and memory changes."""

    max_cpu_sockets: Int64 | None = None
    """The most sockets that a running guest can grow to."""
    max_guest: QuantityValue | None = None
    """The most memory that a running guest can grow to."""
    max_hotplug_ratio: Int64 | None = None
    """How many times its memory and CPUs a guest can grow to; 4 if left out."""


class TokenBucketRateLimiter(Object, frozen=True, kw_only=True):
    """Steady rate per second and burst."""

    burst: Int32
    """Requests in one burst."""
    qps: float
    """Requests a second."""


class RateLimiter(Object, frozen=True, kw_only=True):
    """A client's rate limit."""

    token_bucket_rate_limiter: TokenBucketRateLimiter | None = None


class RESTClientConfiguration(Object, frozen=True, kw_only=True):
    """Settings of a client."""

    rate_limiter: RateLimiter | None = None


class ReloadableComponentConfiguration(Object, frozen=True, kw_only=True):
    """Settings of a component that change at run time."""

    rest_client: RESTClientConfiguration | None = None


class SMBiosConfiguration(Object, frozen=True, kw_only=True):
    """SMBIOS strings of all guests."""

    family: str | None = None
    """Family."""
    manufacturer: str | None = None
    """Manufacturer."""
    product: str | None = None
    """Product."""
    sku: str | None = None
    """Stock keeping unit."""
    version: str | None = None
    """Version."""


class SeccompConfiguration(Object, frozen=True, kw_only=True):
    """Seccomp of launchers."""

    virtual_machine_instance_profile: VirtualMachineInstanceProfile | None = None


class SupportContainerResources(Object, frozen=True, kw_only=True):
    """Resources of side containers of one type."""

    type: str
    """Which container it is."""
    resources: ResourceRequirementsWithoutClaims


class TLSConfiguration(Object, frozen=True, kw_only=True):
    """TLS versions and ciphers of servers."""

    ciphers: list[str] = []
    """Ciphers that are allowed."""
    min_tls_version: str | None = field(name="minTLSVersion", default=None)
    """The lowest version, such as VersionTLS12."""


class DisableFreePageReporting(Object, frozen=True, kw_only=True):
    """Present: off."""


class DisableSerialConsoleLog(Object, frozen=True, kw_only=True):
    """Present: off."""


class VirtualMachineOptions(Object, frozen=True, kw_only=True):
    """Cluster-wide switches for guests."""

    disable_free_page_reporting: DisableFreePageReporting | None = None
    disable_serial_console_log: DisableSerialConsoleLog | None = None


class PersistentReservationConfiguration(Object, frozen=True, kw_only=True):
    """SCSI persistent reservation support."""

    enabled: bool | None = None
    """Whether guests may make SCSI persistent reservations."""


class TDXAttestationConfiguration(Object, frozen=True, kw_only=True):
    """Where TDX quotes are made."""

    enforced: bool | None = None
    """Whether machines without it are refused."""
    qgs_socket_path: str | None = None
    """The socket of the quote service."""


class TDXConfiguration(Object, frozen=True, kw_only=True):
    """TDX support."""

    attestation: TDXAttestationConfiguration | None = None


class ConfidentialComputeConfiguration(Object, frozen=True, kw_only=True):
    """Confidential computing support."""

    tdx: TDXConfiguration | None = None


class VirtTemplateDeployment(Object, frozen=True, kw_only=True):
    """Whether virt-template is installed."""

    enabled: bool | None = None
    """Whether they are installed; true if left out."""


class KubeVirtConfiguration(Object, frozen=True, kw_only=True):
    """Cluster-wide settings."""

    additional_guest_memory_overhead_ratio: str | None = None
    """What the computed overhead is multiplied by."""
    api_configuration: ReloadableComponentConfiguration | None = None
    architecture_configuration: ArchConfiguration | None = None
    auto_cpu_limit_namespace_label_selector: LabelSelector | None = field(
        name="autoCPULimitNamespaceLabelSelector", default=None
    )
    changed_block_tracking_label_selectors: ChangedBlockTrackingSelectors | None = None
    common_instancetypes_deployment: CommonInstancetypesDeployment | None = None
    confidential_compute: ConfidentialComputeConfiguration | None = None
    controller_configuration: ReloadableComponentConfiguration | None = None
    cpu_model: str | None = None
    """The CPU model of machines that name none."""
    cpu_request: QuantityValue | None = None
    """The CPU that a machine's pod asks for; 100m if left out."""
    default_runtime_class: str | None = None
    """The RuntimeClass of launchers."""
    developer_configuration: DeveloperConfiguration | None = None
    emulated_machines: list[str] = []
    """Patterns of machine types that are allowed."""
    eviction_strategy: str | None = None
    """What happens to machines that do not say when a node is drained."""
    handler_configuration: ReloadableComponentConfiguration | None = None
    hypervisors: list[HypervisorConfiguration] = []
    """Hypervisors that may run guests."""
    image_pull_policy: str | None = None
    """Always, IfNotPresent or Never."""
    instancetype: InstancetypeConfiguration | None = None
    ksm_configuration: KSMConfiguration | None = None
    live_update_configuration: LiveUpdateConfiguration | None = None
    machine_type: str | None = None
    """The machine type of machines that name none."""
    mediated_devices_configuration: MediatedDevicesConfiguration | None = None
    mem_balloon_stats_period: Int64 | None = None
    """Seconds between memory statistics; 10 if left out."""
    migrations: MigrationConfiguration | None = None
    min_cpu_model: str | None = field(name="minCPUModel", default=None)
    """The oldest CPU model that nodes are labelled with."""
    network: NetworkConfiguration | None = None
    obsolete_cpu_models: dict[str, bool] = field(name="obsoleteCPUModels", default_factory=dict)
    """CPU models that nodes are not labelled with."""
    ovmf_path: str | None = None
    """The folder of the UEFI images."""
    permitted_host_devices: PermittedHostDevices | None = None
    persistent_reservation_configuration: PersistentReservationConfiguration | None = None
    role_aggregation_strategy: str | None = None
    """Whether the cluster's roles admin, edit and view get rights to machines."""
    seccomp_configuration: SeccompConfiguration | None = None
    selinux_launcher_type: str | None = None
    """The SELinux type of launchers."""
    smbios: SMBiosConfiguration | None = None
    support_container_resources: list[SupportContainerResources] = []
    """Resources of the containers beside the launcher."""
    supported_guest_agent_versions: list[str] = []
    """Versions of the guest agent that are known to work."""
    tls_configuration: TLSConfiguration | None = None
    virt_template_deployment: VirtTemplateDeployment | None = None
    virtual_machine_instances_per_node: Int32 | None = None
    """How many guests fit on a node; 110 if left out."""
    virtual_machine_options: VirtualMachineOptions | None = None
    vm_rollout_strategy: str | None = None
    """How changes reach a running guest: Stage waits for a restart, LiveUpdate does not where it can."""
    vm_state_storage_class: str | None = None
    """The StorageClass for firmware variables and TPM state."""
    webhook_configuration: ReloadableComponentConfiguration | None = None
