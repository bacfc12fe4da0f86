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
    """virtio, sata, scsi or usb."""
    pci_address: str | None = None
    """The disk's place on the PCI bus, such as `0000:81:01.0`."""
    readonly: bool | None = None
    """Whether the guest is kept from writing."""


class LunTarget(Object, frozen=True, kw_only=True):
    """A disk passed through as a SCSI device; `reservation` asks for SCSI persistent reservations."""

    bus: str | None = None
    """scsi."""
    readonly: bool | None = None
    """Whether the guest is kept from writing."""
    reservation: bool | None = None
    """Whether the guest may make persistent SCSI reservations."""


class CDRomTarget(Object, frozen=True, kw_only=True):
    """A CD-ROM drive, read-only unless `readonly` is false; `tray` is open or closed."""

    bus: str | None = None
    """sata or scsi; sata if left out."""
    readonly: bool | None = None
    """Whether the guest is kept from writing; true if left out."""
    tray: str | None = None
    """open or closed."""


class CustomBlockSize(Object, frozen=True, kw_only=True):
    """Block sizes in bytes as the guest sees them."""

    discard_granularity: Int32 | None = None
    """The unit in which blocks can be discarded."""
    logical: Int32 | None = None
    """The smallest unit that can be addressed."""
    physical: Int32 | None = None
    """The unit in which the disk works best."""


class FeatureState(Object, frozen=True, kw_only=True):
    """On unless `enabled` is false."""

    enabled: bool | None = None
    """Whether it is on; true if left out."""


class BlockSize(Object, frozen=True, kw_only=True):
    """Block geometry: given, or taken from the volume."""

    custom: CustomBlockSize | None = None
    match_volume: FeatureState | None = None


class DiskIOThreads(Object, frozen=True, kw_only=True):
    """How many I/O threads serve this disk; the supplemental pool policy's setting."""

    supplemental_pool_thread_count: Int64 | None = None
    """How many threads the pool has."""


class Disk(Object, frozen=True, kw_only=True):
    """One drive; exactly one of `disk`, `lun` and `cdrom` (a disk if none). `name` is that of its volume."""

    name: str
    """The name of the volume that is behind it."""
    block_size: BlockSize | None = None
    boot_order: Int32 | None = None
    """Position in the boot order, from 1; devices without one come last."""
    cache: str | None = None
    """none, writethrough or writeback; chosen by what the volume can do if left out."""
    cdrom: CDRomTarget | None = None
    changed_block_tracking: bool | None = None
    """Whether changed blocks are recorded for incremental backups."""
    dedicated_io_thread: bool | None = field(name="dedicatedIOThread", default=None)
    """Gives the disk an I/O thread of its own."""
    disk: DiskTarget | None = None
    error_policy: str | None = None
    """An I/O error: stop pauses the guest, report tells it, ignore hides it, enospace stops for want of space."""
    io: str | None = None
    """How requests reach the kernel: native, threads or io_uring."""
    lun: LunTarget | None = None
    serial: str | None = None
    """The serial number that the guest reads."""
    shareable: bool | None = None
    """Lets several machines open the volume at once."""
    tag: str | None = None
    """A label that the guest finds in its metadata."""


class FilesystemVirtiofs(Object, frozen=True, kw_only=True):
    """Shared by virtiofs."""


class Filesystem(Object, frozen=True, kw_only=True):
    """A volume that the guest mounts as a file system; `name` is that of its volume."""

    name: str
    """The name of the volume that is shared, and the tag that the guest mounts."""
    virtiofs: FilesystemVirtiofs


class VGPUDisplayOptions(Object, frozen=True, kw_only=True):
    """A display on the vGPU; `ram_fb` gives a boot-time frame buffer."""

    enabled: bool | None = None
    """Whether there is a display; true if left out."""
    ram_fb: FeatureState | None = field(name="ramFB", default=None)


class VGPUOptions(Object, frozen=True, kw_only=True):
    """What a vGPU offers besides computing."""

    display: VGPUDisplayOptions | None = None


class GPU(Object, frozen=True, kw_only=True):
    """A GPU by the resource name of its device plugin, or by a resource claim."""

    name: str
    """The name of this GPU in the VM."""
    claim_name: str | None = None
    """The resource claim of the VMI that provides it."""
    device_name: str | None = None
    """The resource name under which nodes offer it, such as `vendor.example/device`."""
    request_name: str | None = None
    """The request in that claim."""
    tag: str | None = None
    """A label that the guest finds in its metadata."""
    virtual_gpu_options: VGPUOptions | None = field(name="virtualGPUOptions", default=None)


class HostDevice(Object, frozen=True, kw_only=True):
    """A device of the node, by the resource name of its device plugin or by a resource claim."""

    name: str
    """The name of this device in the VM."""
    claim_name: str | None = None
    """The resource claim of the VMI that provides it."""
    device_name: str | None = None
    """The resource name under which nodes offer it, such as `vendor.example/device`."""
    request_name: str | None = None
    """The request in that claim."""
    tag: str | None = None
    """A label that the guest finds in its metadata."""


class ClientPassthroughDevices(Object, frozen=True, kw_only=True):
    """USB devices of the client may be redirected into the guest."""


class DownwardMetrics(Object, frozen=True, kw_only=True):
    """Host metrics for the guest over a virtio-serial port."""


class Input(Object, frozen=True, kw_only=True):
    """A tablet: `bus` is usb or virtio."""

    name: str
    """The name of this device in the VM."""
    type: str
    """tablet."""
    bus: str | None = None
    """The bus; usb if left out."""


class PanicDevice(Object, frozen=True, kw_only=True):
    """Reports a guest's panic; `model` is hyperv, isa or pvpanic."""

    model: str | None = None
    """Which device it is."""


class Rng(Object, frozen=True, kw_only=True):
    """Entropy from the host."""


class SoundDevice(Object, frozen=True, kw_only=True):
    """A sound card: `model` is ich9 or ac97."""

    name: str
    """The name of this device in the VM."""
    model: str | None = None
    """The card; ich9 if left out."""


class TPMDevice(Object, frozen=True, kw_only=True):
    """An emulated TPM; with `persistent` its state outlives the VMI."""

    enabled: bool | None = None
    """Whether the guest has it; true if left out."""
    persistent: bool | None = None
    """Keeps its secrets over restarts, on a claim of its own."""


class VideoDevice(Object, frozen=True, kw_only=True):
    """The graphics card: `type` such as virtio, vga, bochs or cirrus."""

    type: str | None = None
    """The card."""


class I6300ESBWatchdog(Object, frozen=True, kw_only=True):
    """PCI watchdog; `action` is poweroff, reset or shutdown."""

    action: str | None = None
    """What happens when the guest falls silent; reset if left out."""


class Diag288Watchdog(Object, frozen=True, kw_only=True):
    """The watchdog of s390x."""

    action: str | None = None
    """What happens when the guest falls silent; reset if left out."""


class Watchdog(Object, frozen=True, kw_only=True):
    """A watchdog and what happens when it bites."""

    name: str
    """The name of this device in the VM."""
    diag288: Diag288Watchdog | None = None
    i6300esb: I6300ESBWatchdog | None = None


class Devices(Object, frozen=True, kw_only=True):
    """All devices of the guest. The `autoattach_*` switches left out mean true."""

    autoattach_graphics_device: bool | None = None
    """Whether there is a graphics card with VNC."""
    autoattach_input_device: bool | None = None
    """Whether there is a tablet."""
    autoattach_mem_balloon: bool | None = None
    """Whether the guest can give memory back."""
    autoattach_pod_interface: bool | None = None
    """Whether a machine without interfaces gets one on the pod network."""
    autoattach_serial_console: bool | None = None
    """Whether there is a serial console."""
    autoattach_vsock: bool | None = field(name="autoattachVSOCK", default=None)
    """Whether host and guest can talk over vsock; false if left out."""
    block_multi_queue: bool | None = None
    """One queue per vCPU for virtio disks."""
    client_passthrough: ClientPassthroughDevices | None = None
    disable_hotplug: bool | None = None
    """Refuses disks plugged into the running guest."""
    disks: list[Disk] = []
    """Drives; each shows the volume of its name."""
    downward_metrics: DownwardMetrics | None = None
    filesystems: list[Filesystem] = []
    """Volumes that the guest mounts as file systems."""
    gpus: list[GPU] = []
    """GPUs of the node, passed through."""
    host_devices: list[HostDevice] = []
    """Devices of the node, passed through."""
    inputs: list[Input] = []
    """Pointing devices."""
    interfaces: list[Interface] = []
    """Network interfaces; each is on the network of its name."""
    log_serial_console: bool | None = None
    """Whether the serial console is logged, by the pod's container guest-console-log."""
    network_interface_multiqueue: bool | None = None
    """One queue per vCPU for virtio interfaces."""
    panic_devices: list[PanicDevice] = []
    """Devices that report a guest's panic."""
    rng: Rng | None = None
    sound: SoundDevice | None = None
    tpm: TPMDevice | None = None
    use_virtio_transitional: bool | None = None
    """Makes virtio devices usable for guests that know only version 0.9."""
    video: VideoDevice | None = None
    watchdog: Watchdog | None = None
