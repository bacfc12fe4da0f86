"""Instancetypes and preferences. Source: instancetype.kubevirt.io/v1beta1."""

from msgspec import field

from kobune.api.kubevirt.devices import (
    GPU,
    BlockSize,
    DiskIOThreads,
    FeatureState,
    HostDevice,
    Rng,
    TPMDevice,
    VGPUOptions,
)
from kobune.api.kubevirt.domain import (
    EFI,
    NUMA,
    ClockOffsetUTC,
    CPUFeature,
    FeatureAPIC,
    FeatureHyperv,
    FeatureKVM,
    Hugepages,
    LaunchSecurity,
    Realtime,
    Timer,
)
from kobune.api.kubevirt.network import InterfaceMasquerade
from kobune.api.meta import Int32, Int64, Object, ObjectMeta, QuantityValue

__all__ = [
    "CPUInstancetype",
    "CPUPreferenceRequirement",
    "CPUPreferences",
    "ClockOffset",
    "ClockPreferences",
    "DevicePreferences",
    "FeaturePreferences",
    "FirmwarePreferences",
    "MachinePreferences",
    "MemoryInstancetype",
    "MemoryPreferenceRequirement",
    "PreferenceRequirements",
    "SpreadOptions",
    "VirtualMachineClusterInstancetype",
    "VirtualMachineClusterPreference",
    "VirtualMachineInstancetype",
    "VirtualMachineInstancetypeSpec",
    "VirtualMachinePreference",
    "VirtualMachinePreferenceSpec",
    "VolumePreferences",
]


class CPUInstancetype(Object, frozen=True, kw_only=True):
    """CPUs that every machine of the type has."""

    guest: Int64
    dedicated_cpu_placement: bool | None = field(name="dedicatedCPUPlacement", default=None)
    isolate_emulator_thread: bool | None = None
    max_sockets: Int64 | None = None
    model: str | None = None
    numa: NUMA | None = None
    realtime: Realtime | None = None


class MemoryInstancetype(Object, frozen=True, kw_only=True):
    """Memory that every machine of the type has."""

    guest: QuantityValue
    hugepages: Hugepages | None = None
    max_guest: QuantityValue | None = None
    overcommit_percent: Int32 | None = None


class VirtualMachineInstancetypeSpec(Object, frozen=True, kw_only=True):
    """What a machine of this type is made of; the machine itself may not say otherwise."""

    cpu: CPUInstancetype
    memory: MemoryInstancetype
    annotations: dict[str, str] = {}
    gpus: list[GPU] = []
    host_devices: list[HostDevice] = []
    io_threads: DiskIOThreads | None = None
    io_threads_policy: str | None = None
    launch_security: LaunchSecurity | None = None
    node_selector: dict[str, str] = {}
    scheduler_name: str | None = None


class VirtualMachineInstancetype(Object, frozen=True, kw_only=True):
    """An instancetype of one namespace."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstancetypeSpec


class VirtualMachineClusterInstancetype(Object, frozen=True, kw_only=True):
    """An instancetype for the whole cluster."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstancetypeSpec


class ClockOffset(Object, frozen=True, kw_only=True):
    """UTC with an offset, or a time zone."""

    timezone: str | None = None
    utc: ClockOffsetUTC | None = None


class ClockPreferences(Object, frozen=True, kw_only=True):
    """Clock to use where the machine has none."""

    preferred_clock_offset: ClockOffset | None = None
    preferred_timer: Timer | None = None


class SpreadOptions(Object, frozen=True, kw_only=True):
    """How vCPUs are spread over sockets, cores and threads."""

    across: str | None = None
    ratio: Int64 | None = None


class CPUPreferences(Object, frozen=True, kw_only=True):
    """CPU topology and features to use where the machine has none."""

    preferred_cpu_features: list[CPUFeature] = field(name="preferredCPUFeatures", default_factory=list)
    preferred_cpu_topology: str | None = field(name="preferredCPUTopology", default=None)
    spread_options: SpreadOptions | None = None


class DevicePreferences(Object, frozen=True, kw_only=True):
    """Devices to use where the machine has none."""

    preferred_autoattach_graphics_device: bool | None = None
    preferred_autoattach_input_device: bool | None = None
    preferred_autoattach_mem_balloon: bool | None = None
    preferred_autoattach_pod_interface: bool | None = None
    preferred_autoattach_serial_console: bool | None = None
    preferred_block_multi_queue: bool | None = None
    preferred_cdrom_bus: str | None = None
    preferred_disable_hotplug: bool | None = None
    preferred_disk_block_size: BlockSize | None = None
    preferred_disk_bus: str | None = None
    preferred_disk_cache: str | None = None
    preferred_disk_dedicated_io_thread: bool | None = None
    preferred_disk_io: str | None = field(name="preferredDiskIO", default=None)
    preferred_input_bus: str | None = None
    preferred_input_type: str | None = None
    preferred_interface_masquerade: InterfaceMasquerade | None = None
    preferred_interface_model: str | None = None
    preferred_lun_bus: str | None = None
    preferred_network_interface_multi_queue: bool | None = None
    preferred_panic_device_model: str | None = None
    preferred_rng: Rng | None = None
    preferred_sound_model: str | None = None
    preferred_tpm: TPMDevice | None = field(name="preferredTPM", default=None)
    preferred_use_virtio_transitional: bool | None = None
    preferred_video_type: str | None = None
    preferred_virtual_gpu_options: VGPUOptions | None = field(name="preferredVirtualGPUOptions", default=None)


class FeaturePreferences(Object, frozen=True, kw_only=True):
    """Features to use where the machine has none."""

    preferred_acpi: FeatureState | None = None
    preferred_apic: FeatureAPIC | None = None
    preferred_hyperv: FeatureHyperv | None = None
    preferred_kvm: FeatureKVM | None = None
    preferred_pvspinlock: FeatureState | None = None
    preferred_smm: FeatureState | None = None


class FirmwarePreferences(Object, frozen=True, kw_only=True):
    """Firmware to use where the machine has none."""

    preferred_efi: EFI | None = None
    preferred_use_bios: bool | None = None
    preferred_use_bios_serial: bool | None = None
    preferred_use_efi: bool | None = None
    preferred_use_secure_boot: bool | None = None


class MachinePreferences(Object, frozen=True, kw_only=True):
    """Machine type to use where the machine has none."""

    preferred_machine_type: str | None = None


class VolumePreferences(Object, frozen=True, kw_only=True):
    """Storage class to use where a volume has none."""

    preferred_storage_class_name: str | None = None


class CPUPreferenceRequirement(Object, frozen=True, kw_only=True):
    """The least number of vCPUs."""

    guest: Int64


class MemoryPreferenceRequirement(Object, frozen=True, kw_only=True):
    """The least memory."""

    guest: QuantityValue


class PreferenceRequirements(Object, frozen=True, kw_only=True):
    """What a guest of this kind needs."""

    architecture: str | None = None
    cpu: CPUPreferenceRequirement | None = None
    memory: MemoryPreferenceRequirement | None = None


class VirtualMachinePreferenceSpec(Object, frozen=True, kw_only=True):
    """Settings that a guest of this kind runs well with."""

    annotations: dict[str, str] = {}
    clock: ClockPreferences | None = None
    cpu: CPUPreferences | None = None
    devices: DevicePreferences | None = None
    features: FeaturePreferences | None = None
    firmware: FirmwarePreferences | None = None
    machine: MachinePreferences | None = None
    prefer_spread_socket_to_core_ratio: Int64 | None = None
    preferred_architecture: str | None = None
    preferred_launch_security: LaunchSecurity | None = None
    preferred_subdomain: str | None = None
    preferred_termination_grace_period_seconds: Int64 | None = None
    requirements: PreferenceRequirements | None = None
    volumes: VolumePreferences | None = None


class VirtualMachinePreference(Object, frozen=True, kw_only=True):
    """A preference of one namespace."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachinePreferenceSpec


class VirtualMachineClusterPreference(Object, frozen=True, kw_only=True):
    """A preference for the whole cluster."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachinePreferenceSpec
