"""Where disks and file systems come from. Source: kubevirt.io/v1 (Volume and below)."""

from msgspec import field

from kobune.api.core import DownwardAPIVolumeFile, LocalObjectReference
from kobune.api.core import PersistentVolumeClaimVolumeSource as CorePersistentVolumeClaimVolumeSource
from kobune.api.meta import Object, QuantityValue

__all__ = [
    "CloudInitConfigDriveSource",
    "CloudInitNoCloudSource",
    "ConfigMapVolumeSource",
    "ContainerDiskSource",
    "ContainerPathVolumeSource",
    "DataVolumeSource",
    "DownwardAPIVolumeSource",
    "DownwardMetricsVolumeSource",
    "EmptyDiskSource",
    "EphemeralVolumeSource",
    "HostDisk",
    "HotplugVolumeSource",
    "MemoryDumpVolumeSource",
    "PersistentVolumeClaimVolumeSource",
    "SecretVolumeSource",
    "ServiceAccountVolumeSource",
    "SysprepSource",
    "UtilityVolume",
    "Volume",
]


class CloudInitNoCloudSource(Object, frozen=True, kw_only=True):
    """A NoCloud disk: data in place, as base64, or in Secrets (keys userdata, networkdata)."""

    network_data: str | None = None
    """Network configuration for cloud-init, as text."""
    network_data_base64: str | None = None
    """The same, in base64."""
    network_data_secret_ref: LocalObjectReference | None = None
    """The Secret that holds it under `networkdata`."""
    secret_ref: LocalObjectReference | None = None
    """The Secret that holds the user data under `userdata`."""
    user_data: str | None = None
    """User data for cloud-init, as text; at most 2048 bytes."""
    user_data_base64: str | None = None
    """The same, in base64."""


class CloudInitConfigDriveSource(Object, frozen=True, kw_only=True):
    """A ConfigDrive disk: data in place, as base64, or in Secrets (keys userdata, networkdata)."""

    network_data: str | None = None
    """Network configuration for cloud-init, as text."""
    network_data_base64: str | None = None
    """The same, in base64."""
    network_data_secret_ref: LocalObjectReference | None = None
    """The Secret that holds it under `networkdata`."""
    secret_ref: LocalObjectReference | None = None
    """The Secret that holds the user data under `userdata`."""
    user_data: str | None = None
    """User data for cloud-init, as text; at most 2048 bytes."""
    user_data_base64: str | None = None
    """The same, in base64."""


class ContainerDiskSource(Object, frozen=True, kw_only=True):
    """An image with one disk under /disk, or at `path`."""

    image: str
    """The image with the disk."""
    image_pull_policy: str | None = None
    """Always, IfNotPresent or Never."""
    image_pull_secret: str | None = None
    """The Secret with the registry's credentials."""
    path: str | None = None
    """Absolute path of the disk in the image; the only file under /disk if left out."""


class ContainerPathVolumeSource(Object, frozen=True, kw_only=True):
    """A folder of the launcher's container."""

    path: str
    """Absolute path in the launcher's container."""
    read_only: bool | None = None
    """Whether the guest is kept from writing; true if left out."""


class DataVolumeSource(Object, frozen=True, kw_only=True):
    """A claim that a DataVolume fills; `hotpluggable` says that it may be plugged while running."""

    name: str
    """The DataVolume and its claim."""
    hotpluggable: bool | None = None
    """Whether it may be plugged and unplugged while the guest runs."""


class DownwardAPIVolumeSource(Object, frozen=True, kw_only=True):
    """Fields of the VMI as files."""

    fields: list[DownwardAPIVolumeFile] = []
    """One file per field."""
    volume_label: str | None = None
    """The label of the file system on the disk."""


class DownwardMetricsVolumeSource(Object, frozen=True, kw_only=True):
    """Host metrics on a small disk."""


class EmptyDiskSource(Object, frozen=True, kw_only=True):
    """A blank sparse disk that lives as long as the VMI."""

    capacity: QuantityValue
    """Its size."""


class EphemeralVolumeSource(Object, frozen=True, kw_only=True):
    """A throw-away overlay over a claim."""

    persistent_volume_claim: CorePersistentVolumeClaimVolumeSource | None = None
    """The claim below the overlay; it is never written."""


class HostDisk(Object, frozen=True, kw_only=True):
    """A file on the node; `type` is Disk (must exist) or DiskOrCreate."""

    type: str
    """Disk or DiskOrCreate."""
    path: str
    """Absolute path of the file on the node."""
    capacity: QuantityValue | None = None
    """The size of a file that is created."""
    shared: bool | None = None
    """Whether several machines may use the file."""


class MemoryDumpVolumeSource(Object, frozen=True, kw_only=True):
    """The claim that receives a memory dump."""

    claim_name: str
    """The claim."""
    hotpluggable: bool | None = None
    """Always true: dumps are made while the guest runs."""
    read_only: bool | None = None
    """Whether the claim is mounted read-only."""


class ConfigMapVolumeSource(Object, frozen=True, kw_only=True):
    """A ConfigMap as a disk or file system."""

    name: str | None = None
    """The ConfigMap, in the VM's namespace."""
    optional: bool | None = None
    """Whether it may be absent."""
    volume_label: str | None = None
    """The label of the file system on the disk."""


class SecretVolumeSource(Object, frozen=True, kw_only=True):
    """A Secret as a disk or file system."""

    optional: bool | None = None
    """Whether it may be absent."""
    secret_name: str | None = None
    """The Secret, in the VM's namespace."""
    volume_label: str | None = None
    """The label of the file system on the disk."""


class ServiceAccountVolumeSource(Object, frozen=True, kw_only=True):
    """A service account's token as a disk or file system."""

    service_account_name: str | None = None
    """The service account, in the VM's namespace."""


class SysprepSource(Object, frozen=True, kw_only=True):
    """Windows answer files from a ConfigMap or a Secret."""

    config_map: LocalObjectReference | None = None
    """The ConfigMap with the answer files."""
    secret: LocalObjectReference | None = None
    """The Secret with the answer files."""


class PersistentVolumeClaimVolumeSource(Object, frozen=True, kw_only=True):
    """A claim; `hotpluggable` says that it may be plugged while running."""

    claim_name: str
    """The claim, in the VM's namespace."""
    hotpluggable: bool | None = None
    """Whether it may be plugged and unplugged while the guest runs."""
    read_only: bool | None = None
    """Whether the claim is mounted read-only."""


class HotplugVolumeSource(Object, frozen=True, kw_only=True):
    """What can be plugged into a running guest."""

    data_volume: DataVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None


class Volume(Object, frozen=True, kw_only=True):
    """A named volume; exactly one source."""

    name: str
    """By this name disks and file systems refer to it."""
    cloud_init_config_drive: CloudInitConfigDriveSource | None = None
    cloud_init_no_cloud: CloudInitNoCloudSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    container_disk: ContainerDiskSource | None = None
    container_path: ContainerPathVolumeSource | None = None
    data_volume: DataVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = field(name="downwardAPI", default=None)
    downward_metrics: DownwardMetricsVolumeSource | None = None
    empty_disk: EmptyDiskSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    host_disk: HostDisk | None = None
    memory_dump: MemoryDumpVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    service_account: ServiceAccountVolumeSource | None = None
    sysprep: SysprepSource | None = None


class UtilityVolume(Object, frozen=True, kw_only=True):
    """A claim mounted into the launcher only, not shown to the guest."""

    name: str
    """The volume's name."""
    type: str | None = None
    """What the volume is for."""
    claim_name: str
    """The claim, in the VM's namespace."""
    read_only: bool | None = None
    """Whether it is mounted read-only."""
