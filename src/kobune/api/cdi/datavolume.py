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
    """Where it is."""
    secret_ref: str | None = None
    """The Secret with the credentials."""


class DataVolumeSourceHTTP(Object, frozen=True, kw_only=True):
    """A disk image by HTTP(S)."""

    url: str
    """Where it is."""
    checksum: str | None = None
    """What the data must hash to, as `algorithm:hex`."""
    insecure_skip_verify: bool | None = None
    """Accepts any certificate."""
    cert_config_map: str | None = None
    """The ConfigMap with certificates to trust."""
    extra_headers: list[str] = []
    """Headers to send."""
    secret_extra_headers: list[str] = []
    """Secrets whose values are sent as headers."""
    secret_ref: str | None = None
    """The Secret with the credentials."""


class DataVolumeSourceImageIO(Object, frozen=True, kw_only=True):
    """A disk in oVirt."""

    disk_id: str
    """The disk's id."""
    url: str
    """Where it is."""
    cert_config_map: str | None = None
    """The ConfigMap with certificates to trust."""
    insecure_skip_verify: bool | None = None
    """Accepts any certificate."""
    secret_ref: str | None = None
    """The Secret with the credentials."""


class DataVolumeSourcePVC(Object, frozen=True, kw_only=True):
    """Another claim."""

    name: str
    """Its name."""
    namespace: str
    """Its namespace."""


class PlatformOptions(Object, frozen=True, kw_only=True):
    """The platform of a multi-platform image."""

    architecture: str | None = None
    """The architecture."""


class DataVolumeSourceRegistry(Object, frozen=True, kw_only=True):
    """A container disk in a registry."""

    cert_config_map: str | None = None
    """The ConfigMap with certificates to trust."""
    image_stream: str | None = None
    """An ImageStream instead of a URL."""
    platform: PlatformOptions | None = None
    pull_method: str | None = None
    """Who pulls: pod or node."""
    secret_ref: str | None = None
    """The Secret with the credentials."""
    url: str | None = None
    """Where it is."""


class DataVolumeSourceS3(Object, frozen=True, kw_only=True):
    """A disk image by S3."""

    url: str
    """Where it is."""
    cert_config_map: str | None = None
    """The ConfigMap with certificates to trust."""
    secret_ref: str | None = None
    """The Secret with the credentials."""


class DataVolumeSourceSnapshot(Object, frozen=True, kw_only=True):
    """A volume snapshot."""

    name: str
    """Its name."""
    namespace: str
    """Its namespace."""


class DataVolumeSourceUpload(Object, frozen=True, kw_only=True):
    """Somebody will upload it."""


class DataVolumeSourceVDDK(Object, frozen=True, kw_only=True):
    """A disk of VMware vSphere."""

    backing_file: str | None = None
    """The disk's path on its datastore."""
    extra_args: str | None = None
    """The ConfigMap with more arguments."""
    init_image_url: str | None = field(name="initImageURL", default=None)
    """The image with the VDDK library."""
    secret_ref: str | None = None
    """The Secret with the credentials."""
    thumbprint: str | None = None
    """The server certificate's thumbprint."""
    url: str | None = None
    """Where it is."""
    uuid: str | None = None
    """The machine's UUID."""
    cert_config_map: str | None = None
    """The ConfigMap with certificates to trust."""


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
    """Its name."""
    kind: str
    """DataSource."""
    namespace: str | None = None
    """Its namespace; the DataVolume's own if left out."""


class DataVolumeCheckpoint(Object, frozen=True, kw_only=True):
    """One stage of a multi-stage import."""

    current: str
    """This stage's snapshot."""
    previous: str
    """The stage before."""


class StorageSpec(Object, frozen=True, kw_only=True):
    """The claim to be made, with what is left out taken from the storage profile."""

    access_modes: list[str] = []
    """How it may be mounted, such as ReadWriteOnce."""
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedObjectReference | None = None
    resources: CoreResourceRequirements | None = None
    selector: LabelSelector | None = None
    storage_class_name: str | None = None
    """The StorageClass; the default one if left out."""
    volume_mode: str | None = None
    """Filesystem or Block."""
    volume_name: str | None = None
    """The volume to bind to."""


class DataVolumeSpec(Object, frozen=True, kw_only=True):
    """What to fill a claim with."""

    checkpoints: list[DataVolumeCheckpoint] = []
    """Stages of a multi-stage import."""
    content_type: str | None = None
    """kubevirt (a disk image) or archive; kubevirt if left out."""
    final_checkpoint: bool | None = None
    """Whether the last stage is the last one."""
    preallocation: bool | None = None
    """Takes all the space from the beginning."""
    priority_class_name: str | None = None
    """The priority of the worker pods."""
    service_account_name: str | None = None
    """The service account of the worker pods."""
    pvc: PersistentVolumeClaimSpec | None = None
    source: DataVolumeSource | None = None
    source_ref: DataVolumeSourceRef | None = None
    storage: StorageSpec | None = None


class DataVolumeCondition(Object, frozen=True, kw_only=True):
    """Bound, Running or Ready."""

    type: str
    """Bound, Running or Ready."""
    status: str
    """True, False or Unknown."""
    last_heartbeat_time: Time | None = None
    """When it was last looked at."""
    last_transition_time: Time | None = None
    """When the status last changed."""
    message: str | None = None
    """What it means, for people."""
    reason: str | None = None
    """One word for programs."""


class DataVolumeStatus(Object, frozen=True, kw_only=True):
    """`phase` such as Pending, ImportInProgress, Succeeded or Failed; `progress` as text with a percent sign."""

    claim_name: str | None = None
    """The claim."""
    conditions: list[DataVolumeCondition] = []
    """What is true of the DataVolume, one by one."""
    phase: str | None = None
    """How far it is."""
    progress: str | None = None
    """How much is there, such as 42.5%."""
    restart_count: Int32 | None = None
    """How often the worker was restarted."""


class DataVolume(Object, frozen=True, kw_only=True):
    """A claim, and what it is to be filled with."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DataVolumeSpec
    status: DataVolumeStatus = DataVolumeStatus()
