"""The configuration inside a KubeVirt resource. Source: kubevirt.io/v1 (KubeVirtConfiguration and below)."""

from msgspec import field

from kobune.api.kubevirt.network import InterfaceBindingMigration
from kobune.api.kubevirt.status import MigrationConfiguration, VirtualMachineInstanceProfile
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
    "InterfaceBindingPlugin",
    "KSMConfiguration",
    "KubeVirtConfiguration",
    "LiveUpdateConfiguration",
    "LogVerbosity",
    "MediatedDevicesConfiguration",
    "MediatedHostDevice",
    "NetworkConfiguration",
    "NodeMediatedDeviceTypesConfig",
    "PciHostDevice",
    "PermittedHostDevices",
    "PersistentReservationConfiguration",
    "RESTClientConfiguration",
    "RateLimiter",
    "ReloadableComponentConfiguration",
    "ResourceRequirementsWithoutClaims",
    "SMBiosConfiguration",
    "SeccompConfiguration",
    "SupportContainerResources",
    "TDXAttestationConfiguration",
    "TDXConfiguration",
    "TLSConfiguration",
    "TokenBucketRateLimiter",
    "USBHostDevice",
    "USBSelector",
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


class ArchSpecificConfiguration(Object, frozen=True, kw_only=True):
    """Defaults of one CPU architecture."""

    emulated_machines: list[str] = []
    machine_type: str | None = None
    ovmf_path: str | None = None


class ArchConfiguration(Object, frozen=True, kw_only=True):
    """Defaults per CPU architecture."""

    amd64: ArchSpecificConfiguration | None = None
    arm64: ArchSpecificConfiguration | None = None
    default_architecture: str | None = None
    ppc64le: ArchSpecificConfiguration | None = None
    s390x: ArchSpecificConfiguration | None = None


class CommonInstancetypesDeployment(Object, frozen=True, kw_only=True):
    """Whether the common instancetypes are installed."""

    enabled: bool | None = None


class LogVerbosity(Object, frozen=True, kw_only=True):
    """Log levels per component and node."""

    node_verbosity: dict[str, Int32] = {}
    virt_api: Int32 | None = field(name="virtAPI", default=None)
    virt_controller: Int32 | None = None
    virt_handler: Int32 | None = None
    virt_launcher: Int32 | None = None
    virt_operator: Int32 | None = None
    virt_synchronization_controller: Int32 | None = None


class DeveloperConfiguration(Object, frozen=True, kw_only=True):
    """Settings for development; feature gates live here."""

    cluster_profiler: bool | None = None
    cpu_allocation_ratio: Int32 | None = None
    disabled_feature_gates: list[str] = []
    disk_verification: DiskVerification | None = None
    feature_gates: list[str] = []
    log_verbosity: LogVerbosity | None = None
    memory_overcommit: Int32 | None = None
    minimum_cluster_tsc_frequency: Int64 | None = field(name="minimumClusterTSCFrequency", default=None)
    minimum_reserve_pvc_bytes: Int64 | None = field(name="minimumReservePVCBytes", default=None)
    node_selectors: dict[str, str] = {}
    pvc_tolerate_less_space_up_to_percent: Int32 | None = None
    use_emulation: bool | None = None


class InstancetypeConfiguration(Object, frozen=True, kw_only=True):
    """How instancetypes are referred to."""

    reference_policy: str | None = None


class HypervisorConfiguration(Object, frozen=True, kw_only=True):
    """Which hypervisor runs guests."""

    name: str | None = None


class KSMConfiguration(Object, frozen=True, kw_only=True):
    """Nodes on which equal memory pages are merged."""

    node_label_selector: LabelSelector | None = None


class LiveUpdateConfiguration(Object, frozen=True, kw_only=True):
    """Limits of live CPU and memory changes."""

    max_cpu_sockets: Int64 | None = None
    max_guest: QuantityValue | None = None
    max_hotplug_ratio: Int64 | None = None


class MediatedHostDevice(Object, frozen=True, kw_only=True):
    """A mediated device that VMs may use."""

    mdev_name_selector: str
    resource_name: str
    external_resource_provider: bool | None = None


class NodeMediatedDeviceTypesConfig(Object, frozen=True, kw_only=True):
    """Mediated device types on selected nodes."""

    node_selector: dict[str, str]
    mediated_device_types: list[str] = []
    mediated_devices_types: list[str] = []


class MediatedDevicesConfiguration(Object, frozen=True, kw_only=True):
    """Mediated device types to be made on nodes."""

    enabled: bool | None = None
    mediated_device_types: list[str] = []
    mediated_devices_types: list[str] = []
    node_mediated_device_types: list[NodeMediatedDeviceTypesConfig] = []


class ResourceRequirementsWithoutClaims(Object, frozen=True, kw_only=True):
    """Requests and limits."""

    limits: dict[str, QuantityValue] = {}
    requests: dict[str, QuantityValue] = {}


class InterfaceBindingPlugin(Object, frozen=True, kw_only=True):
    """A network binding plugin."""

    compute_resource_overhead: ResourceRequirementsWithoutClaims | None = None
    domain_attachment_type: str | None = None
    downward_api: str | None = field(name="downwardAPI", default=None)
    migration: InterfaceBindingMigration | None = None
    network_attachment_definition: str | None = None
    sidecar_image: str | None = None


class NetworkConfiguration(Object, frozen=True, kw_only=True):
    """Defaults of networks and the binding plugins."""

    binding: dict[str, InterfaceBindingPlugin] = {}
    default_network_interface: str | None = None
    permit_bridge_interface_on_pod_network: bool | None = None
    permit_slirp_interface: bool | None = None


class PciHostDevice(Object, frozen=True, kw_only=True):
    """A PCI device that VMs may use."""

    pci_vendor_selector: str
    resource_name: str
    external_resource_provider: bool | None = None


class USBSelector(Object, frozen=True, kw_only=True):
    """A USB device by vendor and product."""

    product: str
    vendor: str


class USBHostDevice(Object, frozen=True, kw_only=True):
    """USB devices that VMs may use."""

    resource_name: str
    external_resource_provider: bool | None = None
    selectors: list[USBSelector] = []


class PermittedHostDevices(Object, frozen=True, kw_only=True):
    """Devices of nodes that VMs may use."""

    mediated_devices: list[MediatedHostDevice] = []
    pci_host_devices: list[PciHostDevice] = []
    usb: list[USBHostDevice] = []


class TokenBucketRateLimiter(Object, frozen=True, kw_only=True):
    """Steady rate per second and burst."""

    burst: Int32
    qps: float


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
    manufacturer: str | None = None
    product: str | None = None
    sku: str | None = None
    version: str | None = None


class SeccompConfiguration(Object, frozen=True, kw_only=True):
    """Seccomp of launchers."""

    virtual_machine_instance_profile: VirtualMachineInstanceProfile | None = None


class SupportContainerResources(Object, frozen=True, kw_only=True):
    """Resources of side containers of one type."""

    type: str
    resources: ResourceRequirementsWithoutClaims


class TLSConfiguration(Object, frozen=True, kw_only=True):
    """TLS versions and ciphers of servers."""

    ciphers: list[str] = []
    min_tls_version: str | None = field(name="minTLSVersion", default=None)


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


class TDXAttestationConfiguration(Object, frozen=True, kw_only=True):
    """Where TDX quotes are made."""

    enforced: bool | None = None
    qgs_socket_path: str | None = None


class TDXConfiguration(Object, frozen=True, kw_only=True):
    """TDX support."""

    attestation: TDXAttestationConfiguration | None = None


class ConfidentialComputeConfiguration(Object, frozen=True, kw_only=True):
    """Confidential computing support."""

    tdx: TDXConfiguration | None = None


class VirtTemplateDeployment(Object, frozen=True, kw_only=True):
    """Whether virt-template is installed."""

    enabled: bool | None = None


class KubeVirtConfiguration(Object, frozen=True, kw_only=True):
    """Cluster-wide settings."""

    additional_guest_memory_overhead_ratio: str | None = None
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
    cpu_request: QuantityValue | None = None
    default_runtime_class: str | None = None
    developer_configuration: DeveloperConfiguration | None = None
    emulated_machines: list[str] = []
    eviction_strategy: str | None = None
    handler_configuration: ReloadableComponentConfiguration | None = None
    hypervisors: list[HypervisorConfiguration] = []
    image_pull_policy: str | None = None
    instancetype: InstancetypeConfiguration | None = None
    ksm_configuration: KSMConfiguration | None = None
    live_update_configuration: LiveUpdateConfiguration | None = None
    machine_type: str | None = None
    mediated_devices_configuration: MediatedDevicesConfiguration | None = None
    mem_balloon_stats_period: Int64 | None = None
    migrations: MigrationConfiguration | None = None
    min_cpu_model: str | None = field(name="minCPUModel", default=None)
    network: NetworkConfiguration | None = None
    obsolete_cpu_models: dict[str, bool] = field(name="obsoleteCPUModels", default_factory=dict)
    ovmf_path: str | None = None
    permitted_host_devices: PermittedHostDevices | None = None
    persistent_reservation_configuration: PersistentReservationConfiguration | None = None
    role_aggregation_strategy: str | None = None
    seccomp_configuration: SeccompConfiguration | None = None
    selinux_launcher_type: str | None = None
    smbios: SMBiosConfiguration | None = None
    support_container_resources: list[SupportContainerResources] = []
    supported_guest_agent_versions: list[str] = []
    tls_configuration: TLSConfiguration | None = None
    virt_template_deployment: VirtTemplateDeployment | None = None
    virtual_machine_instances_per_node: Int32 | None = None
    virtual_machine_options: VirtualMachineOptions | None = None
    vm_rollout_strategy: str | None = None
    vm_state_storage_class: str | None = None
    webhook_configuration: ReloadableComponentConfiguration | None = None
