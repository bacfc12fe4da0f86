"""What the guest's computer is made of. Source: kubevirt.io/v1 (DomainSpec and below)."""

from kobune.api.kubevirt.devices import Devices, DiskIOThreads, FeatureState
from kobune.api.meta import Int32, Int64, Object, QuantityValue

__all__ = [
    "ACPI",
    "BIOS",
    "CPU",
    "EFI",
    "NUMA",
    "SEV",
    "SEVSNP",
    "TDX",
    "Bootloader",
    "CPUFeature",
    "Chassis",
    "Clock",
    "ClockOffsetUTC",
    "DomainSpec",
    "FeatureAPIC",
    "FeatureHyperv",
    "FeatureKVM",
    "FeatureSpinlocks",
    "FeatureVendorID",
    "Features",
    "Firmware",
    "HPETTimer",
    "Hugepages",
    "HyperVPassthrough",
    "HypervTimer",
    "KVMTimer",
    "KernelBoot",
    "KernelBootContainer",
    "LaunchSecurity",
    "Machine",
    "Memory",
    "NUMAGuestMappingPassthrough",
    "PITTimer",
    "RTCTimer",
    "Realtime",
    "ReservedOverhead",
    "ResourceRequirements",
    "SEVAttestation",
    "SEVPolicy",
    "SyNICTimer",
    "TLBFlush",
    "Timer",
]


class CPUFeature(Object, frozen=True, kw_only=True):
    """`policy` is force, require (the default), optional, disable or forbid."""

    name: str
    policy: str | None = None


class NUMAGuestMappingPassthrough(Object, frozen=True, kw_only=True):
    """The guest's NUMA nodes mirror those of its dedicated CPUs."""


class NUMA(Object, frozen=True, kw_only=True):
    """NUMA layout of the guest."""

    guest_mapping_passthrough: NUMAGuestMappingPassthrough | None = None


class Realtime(Object, frozen=True, kw_only=True):
    """Real-time vCPUs; `mask` selects them."""

    mask: str | None = None


class CPU(Object, frozen=True, kw_only=True):
    """Topology, model and features; counts are per level (sockets x cores x threads)."""

    cores: Int64 | None = None
    dedicated_cpu_placement: bool | None = None
    features: list[CPUFeature] = []
    isolate_emulator_thread: bool | None = None
    max_sockets: Int64 | None = None
    model: str | None = None
    numa: NUMA | None = None
    realtime: Realtime | None = None
    sockets: Int64 | None = None
    threads: Int64 | None = None


class Hugepages(Object, frozen=True, kw_only=True):
    """`page_size` such as 2Mi or 1Gi."""

    page_size: str | None = None


class ReservedOverhead(Object, frozen=True, kw_only=True):
    """Memory of the host that belongs to the VM beyond the guest's own."""

    added_overhead: QuantityValue | None = None
    mem_lock: str | None = None


class Memory(Object, frozen=True, kw_only=True):
    """`guest` is what the guest sees, `max_guest` how far it may be raised while it runs."""

    guest: QuantityValue | None = None
    hugepages: Hugepages | None = None
    max_guest: QuantityValue | None = None
    reserved_overhead: ReservedOverhead | None = None


class ResourceRequirements(Object, frozen=True, kw_only=True):
    """What the launcher pod asks of the node."""

    limits: dict[str, QuantityValue] = {}
    overcommit_guest_overhead: bool | None = None
    requests: dict[str, QuantityValue] = {}


class Machine(Object, frozen=True, kw_only=True):
    """libvirt's machine type, such as q35."""

    type: str | None = None


class ACPI(Object, frozen=True, kw_only=True):
    """ACPI tables for the guest, from Secrets' volumes."""

    msdm_name_ref: str | None = None
    slic_name_ref: str | None = None


class BIOS(Object, frozen=True, kw_only=True):
    """SeaBIOS; `use_serial` shows it on the serial console."""

    use_serial: bool | None = None


class EFI(Object, frozen=True, kw_only=True):
    """UEFI; secure boot is on unless `secure_boot` is false."""

    persistent: bool | None = None
    secure_boot: bool | None = None


class Bootloader(Object, frozen=True, kw_only=True):
    """BIOS or EFI; at most one."""

    bios: BIOS | None = None
    efi: EFI | None = None


class KernelBootContainer(Object, frozen=True, kw_only=True):
    """An image that carries a kernel and an initrd at these paths."""

    image: str
    image_pull_policy: str | None = None
    image_pull_secret: str | None = None
    initrd_path: str | None = None
    kernel_path: str | None = None


class KernelBoot(Object, frozen=True, kw_only=True):
    """Boots a kernel directly."""

    container: KernelBootContainer | None = None
    kernel_args: str | None = None


class Firmware(Object, frozen=True, kw_only=True):
    """Boot loader, SMBIOS uuid and serial."""

    acpi: ACPI | None = None
    bootloader: Bootloader | None = None
    kernel_boot: KernelBoot | None = None
    serial: str | None = None
    uuid: str | None = None


class Chassis(Object, frozen=True, kw_only=True):
    """SMBIOS chassis strings."""

    asset: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    sku: str | None = None
    version: str | None = None


class FeatureAPIC(Object, frozen=True, kw_only=True):
    """`end_of_interrupt` is for TCG or nested guests that need it."""

    enabled: bool | None = None
    end_of_interrupt: bool | None = None


class FeatureSpinlocks(Object, frozen=True, kw_only=True):
    """Retries before the guest tells the hypervisor that it spins."""

    enabled: bool | None = None
    spinlocks: Int64 | None = None


class FeatureVendorID(Object, frozen=True, kw_only=True):
    """The hypervisor's vendor id as Hyper-V guests see it, up to 12 characters."""

    enabled: bool | None = None
    vendorid: str | None = None


class SyNICTimer(Object, frozen=True, kw_only=True):
    """Synthetic timers, `direct` ones included."""

    direct: FeatureState | None = None
    enabled: bool | None = None


class TLBFlush(Object, frozen=True, kw_only=True):
    """Paravirtual TLB flush."""

    direct: FeatureState | None = None
    enabled: bool | None = None
    extended: FeatureState | None = None


class FeatureHyperv(Object, frozen=True, kw_only=True):
    """Hyper-V enlightenments, one by one."""

    evmcs: FeatureState | None = None
    frequencies: FeatureState | None = None
    ipi: FeatureState | None = None
    reenlightenment: FeatureState | None = None
    relaxed: FeatureState | None = None
    reset: FeatureState | None = None
    runtime: FeatureState | None = None
    spinlocks: FeatureSpinlocks | None = None
    synic: FeatureState | None = None
    synictimer: SyNICTimer | None = None
    tlbflush: TLBFlush | None = None
    vapic: FeatureState | None = None
    vendorid: FeatureVendorID | None = None
    vpindex: FeatureState | None = None


class HyperVPassthrough(Object, frozen=True, kw_only=True):
    """Every Hyper-V enlightenment that the host knows."""

    enabled: bool | None = None


class FeatureKVM(Object, frozen=True, kw_only=True):
    """`hidden` hides KVM from the guest."""

    hidden: bool | None = None


class Features(Object, frozen=True, kw_only=True):
    """CPU and platform features."""

    acpi: FeatureState | None = None
    apic: FeatureAPIC | None = None
    hyperv: FeatureHyperv | None = None
    hyperv_passthrough: HyperVPassthrough | None = None
    kvm: FeatureKVM | None = None
    pvspinlock: FeatureState | None = None
    smm: FeatureState | None = None


class ClockOffsetUTC(Object, frozen=True, kw_only=True):
    """UTC, shifted by seconds."""

    offset_seconds: Int32 | None = None


class HPETTimer(Object, frozen=True, kw_only=True):
    """HPET; `tick_policy` is delay, catchup, merge or discard."""

    present: bool | None = None
    tick_policy: str | None = None


class HypervTimer(Object, frozen=True, kw_only=True):
    """Hyper-V reference clock."""

    present: bool | None = None


class KVMTimer(Object, frozen=True, kw_only=True):
    """KVM clock."""

    present: bool | None = None


class PITTimer(Object, frozen=True, kw_only=True):
    """PIT; `tick_policy` is delay, catchup or discard."""

    present: bool | None = None
    tick_policy: str | None = None


class RTCTimer(Object, frozen=True, kw_only=True):
    """RTC; `track` is guest or wall."""

    present: bool | None = None
    tick_policy: str | None = None
    track: str | None = None


class Timer(Object, frozen=True, kw_only=True):
    """Timers of the guest; absent ones keep libvirt's default."""

    hpet: HPETTimer | None = None
    hyperv: HypervTimer | None = None
    kvm: KVMTimer | None = None
    pit: PITTimer | None = None
    rtc: RTCTimer | None = None


class Clock(Object, frozen=True, kw_only=True):
    """Clock of the guest: UTC (with an offset) or a time zone."""

    timer: Timer | None = None
    timezone: str | None = None
    utc: ClockOffsetUTC | None = None


class SEVPolicy(Object, frozen=True, kw_only=True):
    """Policy bits of an AMD SEV guest."""

    encrypted_state: bool | None = None


class SEVAttestation(Object, frozen=True, kw_only=True):
    """The guest waits for attestation before it starts."""


class SEV(Object, frozen=True, kw_only=True):
    """AMD SEV."""

    attestation: SEVAttestation | None = None
    dh_cert: str | None = None
    policy: SEVPolicy | None = None
    session: str | None = None


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
    launch_security: LaunchSecurity | None = None
    machine: Machine | None = None
    memory: Memory | None = None
    reboot_policy: str | None = None
    resources: ResourceRequirements | None = None
