"""DataVolumes as VMs embed them. Source: cdi.kubevirt.io/v1beta1."""

from msgspec import field

from kobune.api.core import PersistentVolumeClaimSpec, TypedLocalObjectReference, TypedObjectReference
from kobune.api.core import ResourceRequirements as CoreResourceRequirements
from kobune.api.meta import Int32, LabelSelector, Object, ObjectMeta, Time

__all__ = [
    "DataVolume",
    "DataVolumeBlankImage",
    "DataVolumeCheckpoint",
    "DataVolumeCondition",
    "DataVolumeSource",
    "DataVolumeSourceGCS",
    "DataVolumeSourceHTTP",
    "DataVolumeSourceImageIO",
    "DataVolumeSourcePVC",
    "DataVolumeSourceRef",
    "DataVolumeSourceRegistry",
    "DataVolumeSourceS3",
    "DataVolumeSourceSnapshot",
    "DataVolumeSourceUpload",
    "DataVolumeSourceVDDK",
    "DataVolumeSpec",
    "DataVolumeStatus",
    "PlatformOptions",
    "StorageSpec",
]


class DataVolumeBlankImage(Object, frozen=True, kw_only=True):
    """An empty disk."""


class DataVolumeSourceGCS(Object, frozen=True, kw_only=True):
    """Google Cloud Storage."""

    url: str
    secret_ref: str | None = None


class DataVolumeSourceHTTP(Object, frozen=True, kw_only=True):
    """A disk image by HTTP(S)."""

    url: str
    checksum: str | None = None
    insecure_skip_verify: bool | None = None
    cert_config_map: str | None = None
    extra_headers: list[str] = []
    secret_extra_headers: list[str] = []
    secret_ref: str | None = None


class DataVolumeSourceImageIO(Object, frozen=True, kw_only=True):
    """A disk in oVirt."""

    disk_id: str
    url: str
    cert_config_map: str | None = None
    insecure_skip_verify: bool | None = None
    secret_ref: str | None = None


class DataVolumeSourcePVC(Object, frozen=True, kw_only=True):
    """Another claim."""

    name: str
    namespace: str


class PlatformOptions(Object, frozen=True, kw_only=True):
    """The platform of a multi-platform image."""

    architecture: str | None = None


class DataVolumeSourceRegistry(Object, frozen=True, kw_only=True):
    """A container disk in a registry."""

    cert_config_map: str | None = None
    image_stream: str | None = None
    platform: PlatformOptions | None = None
    pull_method: str | None = None
    secret_ref: str | None = None
    url: str | None = None


class DataVolumeSourceS3(Object, frozen=True, kw_only=True):
    """A disk image by S3."""

    url: str
    cert_config_map: str | None = None
    secret_ref: str | None = None


class DataVolumeSourceSnapshot(Object, frozen=True, kw_only=True):
    """A volume snapshot."""

    name: str
    namespace: str


class DataVolumeSourceUpload(Object, frozen=True, kw_only=True):
    """Somebody will upload it."""


class DataVolumeSourceVDDK(Object, frozen=True, kw_only=True):
    """A disk of VMware vSphere."""

    backing_file: str | None = None
    extra_args: str | None = None
    init_image_url: str | None = field(name="initImageURL", default=None)
    secret_ref: str | None = None
    thumbprint: str | None = None
    url: str | None = None
    uuid: str | None = None
    cert_config_map: str | None = None


class DataVolumeSource(Object, frozen=True, kw_only=True):
    """Exactly one source."""

    blank: DataVolumeBlankImage | None = None
    gcs: DataVolumeSourceGCS | None = None
    http: DataVolumeSourceHTTP | None = None
    imageio: DataVolumeSourceImageIO | None = None
    pvc: DataVolumeSourcePVC | None = None
    registry: DataVolumeSourceRegistry | None = None
    s3: DataVolumeSourceS3 | None = None
    snapshot: DataVolumeSourceSnapshot | None = None
    upload: DataVolumeSourceUpload | None = None
    vddk: DataVolumeSourceVDDK | None = None


class DataVolumeSourceRef(Object, frozen=True, kw_only=True):
    """A DataSource that names the source."""

    name: str
    kind: str
    namespace: str | None = None


class DataVolumeCheckpoint(Object, frozen=True, kw_only=True):
    """One stage of a multi-stage import."""

    current: str
    previous: str


class StorageSpec(Object, frozen=True, kw_only=True):
    """The claim to be made, with what is left out taken from the storage profile."""

    access_modes: list[str] = []
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedObjectReference | None = None
    resources: CoreResourceRequirements | None = None
    selector: LabelSelector | None = None
    storage_class_name: str | None = None
    volume_mode: str | None = None
    volume_name: str | None = None


class DataVolumeSpec(Object, frozen=True, kw_only=True):
    """What to fill a claim with."""

    checkpoints: list[DataVolumeCheckpoint] = []
    content_type: str | None = None
    final_checkpoint: bool | None = None
    preallocation: bool | None = None
    priority_class_name: str | None = None
    service_account_name: str | None = None
    pvc: PersistentVolumeClaimSpec | None = None
    source: DataVolumeSource | None = None
    source_ref: DataVolumeSourceRef | None = None
    storage: StorageSpec | None = None


class DataVolumeCondition(Object, frozen=True, kw_only=True):
    """Bound, Running or Ready."""

    type: str
    status: str
    last_heartbeat_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None


class DataVolumeStatus(Object, frozen=True, kw_only=True):
    """`phase` such as Pending, ImportInProgress, Succeeded or Failed; `progress` as text with a percent sign."""

    claim_name: str | None = None
    conditions: list[DataVolumeCondition] = []
    phase: str | None = None
    progress: str | None = None
    restart_count: Int32 | None = None


class DataVolume(Object, frozen=True, kw_only=True):
    """A claim, and what it is to be filled with."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DataVolumeSpec
    status: DataVolumeStatus = DataVolumeStatus()
