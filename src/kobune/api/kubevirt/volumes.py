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
    network_data_base64: str | None = None
    network_data_secret_ref: LocalObjectReference | None = None
    secret_ref: LocalObjectReference | None = None
    user_data: str | None = None
    user_data_base64: str | None = None


class CloudInitConfigDriveSource(Object, frozen=True, kw_only=True):
    """A ConfigDrive disk: data in place, as base64, or in Secrets (keys userdata, networkdata)."""

    network_data: str | None = None
    network_data_base64: str | None = None
    network_data_secret_ref: LocalObjectReference | None = None
    secret_ref: LocalObjectReference | None = None
    user_data: str | None = None
    user_data_base64: str | None = None


class ContainerDiskSource(Object, frozen=True, kw_only=True):
    """An image with one disk under /disk, or at `path`."""

    image: str
    image_pull_policy: str | None = None
    image_pull_secret: str | None = None
    path: str | None = None


class ContainerPathVolumeSource(Object, frozen=True, kw_only=True):
    """A folder of the launcher's container."""

    path: str
    read_only: bool | None = None


class DataVolumeSource(Object, frozen=True, kw_only=True):
    """A claim that a DataVolume fills; `hotpluggable` says that it may be plugged while running."""

    name: str
    hotpluggable: bool | None = None


class DownwardAPIVolumeSource(Object, frozen=True, kw_only=True):
    """Fields of the VMI as files."""

    fields: list[DownwardAPIVolumeFile] = []
    volume_label: str | None = None


class DownwardMetricsVolumeSource(Object, frozen=True, kw_only=True):
    """Host metrics on a small disk."""


class EmptyDiskSource(Object, frozen=True, kw_only=True):
    """A blank sparse disk that lives as long as the VMI."""

    capacity: QuantityValue


class EphemeralVolumeSource(Object, frozen=True, kw_only=True):
    """A throw-away overlay over a claim."""

    persistent_volume_claim: CorePersistentVolumeClaimVolumeSource | None = None


class HostDisk(Object, frozen=True, kw_only=True):
    """A file on the node; `type` is Disk (must exist) or DiskOrCreate."""

    type: str
    path: str
    capacity: QuantityValue | None = None
    shared: bool | None = None


class MemoryDumpVolumeSource(Object, frozen=True, kw_only=True):
    """The claim that receives a memory dump."""

    claim_name: str
    hotpluggable: bool | None = None
    read_only: bool | None = None


class ConfigMapVolumeSource(Object, frozen=True, kw_only=True):
    """A ConfigMap as a disk or file system."""

    name: str | None = None
    optional: bool | None = None
    volume_label: str | None = None


class SecretVolumeSource(Object, frozen=True, kw_only=True):
    """A Secret as a disk or file system."""

    optional: bool | None = None
    secret_name: str | None = None
    volume_label: str | None = None


class ServiceAccountVolumeSource(Object, frozen=True, kw_only=True):
    """A service account's token as a disk or file system."""

    service_account_name: str | None = None


class SysprepSource(Object, frozen=True, kw_only=True):
    """Windows answer files from a ConfigMap or a Secret."""

    config_map: LocalObjectReference | None = None
    secret: LocalObjectReference | None = None


class PersistentVolumeClaimVolumeSource(Object, frozen=True, kw_only=True):
    """A claim; `hotpluggable` says that it may be plugged while running."""

    claim_name: str
    hotpluggable: bool | None = None
    read_only: bool | None = None


class HotplugVolumeSource(Object, frozen=True, kw_only=True):
    """What can be plugged into a running guest."""

    data_volume: DataVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None


class Volume(Object, frozen=True, kw_only=True):
    """A named volume; exactly one source."""

    name: str
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
    type: str | None = None
    claim_name: str
    read_only: bool | None = None
