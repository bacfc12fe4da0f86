"""Downloads of disks. Source: export.kubevirt.io."""

from kobune.api.core import TypedLocalObjectReference
from kobune.api.meta import Object, ObjectMeta, Time

__all__ = [
    "Condition",
    "VirtualMachineExport",
    "VirtualMachineExportBackup",
    "VirtualMachineExportBackupEndpoint",
    "VirtualMachineExportLink",
    "VirtualMachineExportLinks",
    "VirtualMachineExportManifest",
    "VirtualMachineExportSpec",
    "VirtualMachineExportStatus",
    "VirtualMachineExportVolume",
    "VirtualMachineExportVolumeFormat",
]


class Condition(Object, frozen=True, kw_only=True):
    """Ready or PVCReady."""

    type: str
    """Which condition it is."""
    last_probe_time: Time | None = None
    """When it was last looked at."""
    last_transition_time: Time | None = None
    """When the status last changed."""
    message: str | None = None
    """What it means, for people."""
    reason: str | None = None
    """One word for programs."""
    status: str
    """True, False or Unknown."""


class VirtualMachineExportBackupEndpoint(Object, frozen=True, kw_only=True):
    """Where a backup is served."""

    endpoint: str
    """What is served."""
    url: str
    """Where."""


class VirtualMachineExportBackup(Object, frozen=True, kw_only=True):
    """A backup to be downloaded."""

    name: str
    """The volume."""
    endpoints: list[VirtualMachineExportBackupEndpoint] = []
    """Where it is served."""


class VirtualMachineExportVolumeFormat(Object, frozen=True, kw_only=True):
    """One format of a volume and its URL."""

    format: str
    """raw, gzip, dir or archive."""
    url: str
    """Where."""


class VirtualMachineExportVolume(Object, frozen=True, kw_only=True):
    """A volume to be downloaded."""

    name: str
    """The volume."""
    formats: list[VirtualMachineExportVolumeFormat] = []
    """Formats that are served."""


class VirtualMachineExportManifest(Object, frozen=True, kw_only=True):
    """A manifest to be downloaded."""

    type: str
    """all or auth-header-secret."""
    url: str
    """Where."""


class VirtualMachineExportLink(Object, frozen=True, kw_only=True):
    """Certificate and URLs of one way in."""

    cert: str
    """The certificate to trust, PEM."""
    backups: list[VirtualMachineExportBackup] = []
    """Backups."""
    manifests: list[VirtualMachineExportManifest] = []
    """Manifests."""
    volumes: list[VirtualMachineExportVolume] = []
    """Volumes."""


class VirtualMachineExportLinks(Object, frozen=True, kw_only=True):
    """Ways in from inside and outside of the cluster."""

    external: VirtualMachineExportLink | None = None
    internal: VirtualMachineExportLink | None = None


class VirtualMachineExportSpec(Object, frozen=True, kw_only=True):
    """What to export and for how long."""

    source: TypedLocalObjectReference
    token_secret_ref: str | None = None
    """The Secret whose `token` downloads must present; made if left out."""
    ttl_duration: str | None = None
    """How long it exists, such as 2h; two hours if left out."""


class VirtualMachineExportStatus(Object, frozen=True, kw_only=True):
    """Where the export is served."""

    conditions: list[Condition] = []
    """What is true of the export, one by one."""
    links: VirtualMachineExportLinks | None = None
    phase: str | None = None
    """Pending, Ready, Terminated or Skipped."""
    service_name: str | None = None
    """The Service that serves it."""
    token_secret_ref: str | None = None
    """The Secret with the token."""
    ttl_expiration_time: Time | None = None
    """When it ends."""
    virtual_machine_name: str | None = None
    """The machine."""


class VirtualMachineExport(Object, frozen=True, kw_only=True):
    """Serves the disks of a machine, a snapshot or a claim."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineExportSpec
    status: VirtualMachineExportStatus = VirtualMachineExportStatus()
