"""Disks and other devices of a guest, but for network interfaces. Source: kubevirt.io/v1 (Devices and below)."""

from msgspec import field

from kobune.api.kubevirt.network import Interface
from kobune.api.meta import Int32, Int64, Object

__all__ = [
    "GPU",
    "BlockSize",
    "CDRomTarget",
    "ClientPassthroughDevices",
    "CustomBlockSize",
    "Devices",
    "Diag288Watchdog",
    "Disk",
    "DiskIOThreads",
    "DiskTarget",
    "DownwardMetrics",
    "FeatureState",
    "Filesystem",
    "FilesystemVirtiofs",
    "HostDevice",
    "I6300ESBWatchdog",
    "Input",
    "LunTarget",
    "PanicDevice",
    "Rng",
    "SoundDevice",
    "TPMDevice",
    "VGPUDisplayOptions",
    "VGPUOptions",
    "VideoDevice",
    "Watchdog",
]


class DiskTarget(Object, frozen=True, kw_only=True):
    """A hard disk: `bus` is virtio, sata, scsi or usb."""

    bus: str | None = None
    pci_address: str | None = None
    readonly: bool | None = None


class LunTarget(Object, frozen=True, kw_only=True):
    """A disk passed through as a SCSI device; `reservation` asks for SCSI persistent reservations."""

    bus: str | None = None
    readonly: bool | None = None
    reservation: bool | None = None


class CDRomTarget(Object, frozen=True, kw_only=True):
    """A CD-ROM drive, read-only unless `readonly` is false; `tray` is open or closed."""

    bus: str | None = None
    readonly: bool | None = None
    tray: str | None = None


class CustomBlockSize(Object, frozen=True, kw_only=True):
    """Block sizes in bytes as the guest sees them."""

    discard_granularity: Int32 | None = None
    logical: Int32 | None = None
    physical: Int32 | None = None


class FeatureState(Object, frozen=True, kw_only=True):
    """On unless `enabled` is false."""

    enabled: bool | None = None


class BlockSize(Object, frozen=True, kw_only=True):
    """Block geometry: given, or taken from the volume."""

    custom: CustomBlockSize | None = None
    match_volume: FeatureState | None = None


class DiskIOThreads(Object, frozen=True, kw_only=True):
    """How many I/O threads serve this disk; the supplemental pool policy's setting."""

    supplemental_pool_thread_count: Int64 | None = None


class Disk(Object, frozen=True, kw_only=True):
    """One drive; exactly one of `disk`, `lun` and `cdrom` (a disk if none). `name` is that of its volume."""

    name: str
    block_size: BlockSize | None = None
    boot_order: Int32 | None = None
    cache: str | None = None
    cdrom: CDRomTarget | None = None
    changed_block_tracking: bool | None = None
    dedicated_io_thread: bool | None = field(name="dedicatedIOThread", default=None)
    disk: DiskTarget | None = None
    error_policy: str | None = None
    io: str | None = None
    lun: LunTarget | None = None
    serial: str | None = None
    shareable: bool | None = None
    tag: str | None = None


class FilesystemVirtiofs(Object, frozen=True, kw_only=True):
    """Shared by virtiofs."""


class Filesystem(Object, frozen=True, kw_only=True):
    """A volume that the guest mounts as a file system; `name` is that of its volume."""

    name: str
    virtiofs: FilesystemVirtiofs


class VGPUDisplayOptions(Object, frozen=True, kw_only=True):
    """A display on the vGPU; `ram_fb` gives a boot-time frame buffer."""

    enabled: bool | None = None
    ram_fb: FeatureState | None = field(name="ramFB", default=None)


class VGPUOptions(Object, frozen=True, kw_only=True):
    """What a vGPU offers besides computing."""

    display: VGPUDisplayOptions | None = None


class GPU(Object, frozen=True, kw_only=True):
    """A GPU by the resource name of its device plugin, or by a resource claim."""

    name: str
    claim_name: str | None = None
    device_name: str | None = None
    request_name: str | None = None
    tag: str | None = None
    virtual_gpu_options: VGPUOptions | None = field(name="virtualGPUOptions", default=None)


class HostDevice(Object, frozen=True, kw_only=True):
    """A device of the node, by the resource name of its device plugin or by a resource claim."""

    name: str
    claim_name: str | None = None
    device_name: str | None = None
    request_name: str | None = None
    tag: str | None = None


class ClientPassthroughDevices(Object, frozen=True, kw_only=True):
    """USB devices of the client may be redirected into the guest."""


class DownwardMetrics(Object, frozen=True, kw_only=True):
    """Host metrics for the guest over a virtio-serial port."""


class Input(Object, frozen=True, kw_only=True):
    """A tablet: `bus` is usb or virtio."""

    name: str
    type: str
    bus: str | None = None


class PanicDevice(Object, frozen=True, kw_only=True):
    """Reports a guest's panic; `model` is hyperv, isa or pvpanic."""

    model: str | None = None


class Rng(Object, frozen=True, kw_only=True):
    """Entropy from the host."""


class SoundDevice(Object, frozen=True, kw_only=True):
    """A sound card: `model` is ich9 or ac97."""

    name: str
    model: str | None = None


class TPMDevice(Object, frozen=True, kw_only=True):
    """An emulated TPM; with `persistent` its state outlives the VMI."""

    enabled: bool | None = None
    persistent: bool | None = None


class VideoDevice(Object, frozen=True, kw_only=True):
    """The graphics card: `type` such as virtio, vga, bochs or cirrus."""

    type: str | None = None


class I6300ESBWatchdog(Object, frozen=True, kw_only=True):
    """PCI watchdog; `action` is poweroff, reset or shutdown."""

    action: str | None = None


class Diag288Watchdog(Object, frozen=True, kw_only=True):
    """The watchdog of s390x."""

    action: str | None = None


class Watchdog(Object, frozen=True, kw_only=True):
    """A watchdog and what happens when it bites."""

    name: str
    diag288: Diag288Watchdog | None = None
    i6300esb: I6300ESBWatchdog | None = None


class Devices(Object, frozen=True, kw_only=True):
    """All devices of the guest. The `autoattach_*` switches left out mean true."""

    autoattach_graphics_device: bool | None = None
    autoattach_input_device: bool | None = None
    autoattach_mem_balloon: bool | None = None
    autoattach_pod_interface: bool | None = None
    autoattach_serial_console: bool | None = None
    autoattach_vsock: bool | None = field(name="autoattachVSOCK", default=None)
    block_multi_queue: bool | None = None
    client_passthrough: ClientPassthroughDevices | None = None
    disable_hotplug: bool | None = None
    disks: list[Disk] = []
    downward_metrics: DownwardMetrics | None = None
    filesystems: list[Filesystem] = []
    gpus: list[GPU] = []
    host_devices: list[HostDevice] = []
    inputs: list[Input] = []
    interfaces: list[Interface] = []
    log_serial_console: bool | None = None
    network_interface_multiqueue: bool | None = None
    panic_devices: list[PanicDevice] = []
    rng: Rng | None = None
    sound: SoundDevice | None = None
    tpm: TPMDevice | None = None
    use_virtio_transitional: bool | None = None
    video: VideoDevice | None = None
    watchdog: Watchdog | None = None
