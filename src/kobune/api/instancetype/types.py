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
    NUMA,
    CPUFeature,
    Hugepages,
    LaunchSecurity,
    Realtime,
)
from kobune.api.kubevirt.features import (
    ClockOffsetUTC,
    FeatureAPIC,
    FeatureHyperv,
    FeatureKVM,
    Timer,
)
from kobune.api.kubevirt.firmware import (
    EFI,
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
    """How many vCPUs."""
    dedicated_cpu_placement: bool | None = field(name="dedicatedCPUPlacement", default=None)
    """Pins every vCPU to a CPU of the node that nothing else uses."""
    isolate_emulator_thread: bool | None = None
    """Gives QEMU's own threads a dedicated CPU as well."""
    max_sockets: Int64 | None = None
    """How many sockets the guest may have at most."""
    model: str | None = None
    """The CPU model."""
    numa: NUMA | None = None
    realtime: Realtime | None = None


class MemoryInstancetype(Object, frozen=True, kw_only=True):
    """Memory that every machine of the type has."""

    guest: QuantityValue
    """What the guest sees as its memory."""
    hugepages: Hugepages | None = None
    max_guest: QuantityValue | None = None
    """How far it may grow while the guest runs."""
    overcommit_percent: Int32 | None = None
    """How much less than the guest's memory the pod asks for, in percent."""


class VirtualMachineInstancetypeSpec(Object, frozen=True, kw_only=True):
    """What a machine of this type is made of; the machine itself may not say otherwise."""

    cpu: CPUInstancetype
    memory: MemoryInstancetype
    annotations: dict[str, str] = {}
    """Annotations for the instances."""
    gpus: list[GPU] = []
    """GPUs of the node."""
    host_devices: list[HostDevice] = []
    """Devices of the node."""
    io_threads: DiskIOThreads | None = None
    io_threads_policy: str | None = None
    """How disks share I/O threads: shared, auto or supplementalPool."""
    launch_security: LaunchSecurity | None = None
    node_selector: dict[str, str] = {}
    """Labels that the node must have."""
    scheduler_name: str | None = None
    """The scheduler that places the pod."""


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
    """A time zone, such as `Europe/Paris`."""
    utc: ClockOffsetUTC | None = None


class ClockPreferences(Object, frozen=True, kw_only=True):
    """Clock to use where the machine has none."""

    preferred_clock_offset: ClockOffset | None = None
    preferred_timer: Timer | None = None


class SpreadOptions(Object, frozen=True, kw_only=True):
    """How vCPUs are spread over sockets, cores and threads."""

    across: str | None = None
    """SocketsCores, CoresThreads or SocketsCoresThreads."""
    ratio: Int64 | None = None
    """vCPUs per socket (or core); 2 if left out."""


class CPUPreferences(Object, frozen=True, kw_only=True):
    """CPU topology and features to use where the machine has none."""

    preferred_cpu_features: list[CPUFeature] = field(name="preferredCPUFeatures", default_factory=list)
    """Features to add."""
    preferred_cpu_topology: str | None = field(name="preferredCPUTopology", default=None)
    """Where vCPUs go: sockets, cores, threads, spread or any."""
    spread_options: SpreadOptions | None = None


class DevicePreferences(Object, frozen=True, kw_only=True):
    """Devices to use where the machine has none."""

    preferred_autoattach_graphics_device: bool | None = None
    """Whether there is a graphics card."""
    preferred_autoattach_input_device: bool | None = None
    """Whether there is a tablet."""
    preferred_autoattach_mem_balloon: bool | None = None
    """Whether there is a memory balloon."""
    preferred_autoattach_pod_interface: bool | None = None
    """Whether there is an interface on the pod network."""
    preferred_autoattach_serial_console: bool | None = None
    """Whether there is a serial console."""
    preferred_block_multi_queue: bool | None = None
    """One queue per vCPU for disks."""
    preferred_cdrom_bus: str | None = None
    """The bus of CD-ROMs."""
    preferred_disable_hotplug: bool | None = None
    """Refuses disks plugged into the running guest."""
    preferred_disk_block_size: BlockSize | None = None
    preferred_disk_bus: str | None = None
    """The bus of disks."""
    preferred_disk_cache: str | None = None
    """The cache mode of disks."""
    preferred_disk_dedicated_io_thread: bool | None = None
    """An I/O thread for each virtio disk."""
    preferred_disk_io: str | None = field(name="preferredDiskIO", default=None)
    """How disk requests reach the kernel."""
    preferred_input_bus: str | None = None
    """The bus of input devices."""
    preferred_input_type: str | None = None
    """The type of input devices."""
    preferred_interface_masquerade: InterfaceMasquerade | None = None
    preferred_interface_model: str | None = None
    """The model of interfaces."""
    preferred_lun_bus: str | None = None
    """The bus of LUNs."""
    preferred_network_interface_multi_queue: bool | None = None
    """One queue per vCPU for interfaces."""
    preferred_panic_device_model: str | None = None
    """The model of panic devices."""
    preferred_rng: Rng | None = None
    preferred_sound_model: str | None = None
    """The model of sound cards."""
    preferred_tpm: TPMDevice | None = field(name="preferredTPM", default=None)
    preferred_use_virtio_transitional: bool | None = None
    """Makes virtio devices usable for old guests."""
    preferred_video_type: str | None = None
    """The type of the graphics card."""
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
    """Boots by BIOS."""
    preferred_use_bios_serial: bool | None = None
    """BIOS output goes to the serial console."""
    preferred_use_efi: bool | None = None
    """Boots by UEFI."""
    preferred_use_secure_boot: bool | None = None
    """UEFI with secure boot."""


class MachinePreferences(Object, frozen=True, kw_only=True):
    """Machine type to use where the machine has none."""

    preferred_machine_type: str | None = None
    """The machine type."""


class VolumePreferences(Object, frozen=True, kw_only=True):
    """Storage class to use where a volume has none."""

    preferred_storage_class_name: str | None = None
    """The StorageClass."""


class CPUPreferenceRequirement(Object, frozen=True, kw_only=True):
    """The least number of vCPUs."""

    guest: Int64
    """How many vCPUs."""


class MemoryPreferenceRequirement(Object, frozen=True, kw_only=True):
    """The least memory."""

    guest: QuantityValue
    """How much memory."""


class PreferenceRequirements(Object, frozen=True, kw_only=True):
    """What a guest of this kind needs."""

    architecture: str | None = None
    """The architecture that the guest is built for."""
    cpu: CPUPreferenceRequirement | None = None
    memory: MemoryPreferenceRequirement | None = None


class VirtualMachinePreferenceSpec(Object, frozen=True, kw_only=True):
    """Settings that a guest of this kind runs well with."""

    annotations: dict[str, str] = {}
    """Annotations for the instances."""
    clock: ClockPreferences | None = None
    cpu: CPUPreferences | None = None
    devices: DevicePreferences | None = None
    features: FeaturePreferences | None = None
    firmware: FirmwarePreferences | None = None
    machine: MachinePreferences | None = None
    prefer_spread_socket_to_core_ratio: Int64 | None = None
    """vCPUs per socket, if they are spread."""
    preferred_architecture: str | None = None
    """The architecture."""
    preferred_launch_security: LaunchSecurity | None = None
    preferred_subdomain: str | None = None
    """The subdomain."""
    preferred_termination_grace_period_seconds: Int64 | None = None
    """How long a shutdown may take."""
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
