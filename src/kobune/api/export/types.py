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
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str


class VirtualMachineExportBackupEndpoint(Object, frozen=True, kw_only=True):
    """Where a backup is served."""

    endpoint: str
    url: str


class VirtualMachineExportBackup(Object, frozen=True, kw_only=True):
    """A backup to be downloaded."""

    name: str
    endpoints: list[VirtualMachineExportBackupEndpoint] = []


class VirtualMachineExportVolumeFormat(Object, frozen=True, kw_only=True):
    """One format of a volume and its URL."""

    format: str
    url: str


class VirtualMachineExportVolume(Object, frozen=True, kw_only=True):
    """A volume to be downloaded."""

    name: str
    formats: list[VirtualMachineExportVolumeFormat] = []


class VirtualMachineExportManifest(Object, frozen=True, kw_only=True):
    """A manifest to be downloaded."""

    type: str
    url: str


class VirtualMachineExportLink(Object, frozen=True, kw_only=True):
    """Certificate and URLs of one way in."""

    cert: str
    backups: list[VirtualMachineExportBackup] = []
    manifests: list[VirtualMachineExportManifest] = []
    volumes: list[VirtualMachineExportVolume] = []


class VirtualMachineExportLinks(Object, frozen=True, kw_only=True):
    """Ways in from inside and outside of the cluster."""

    external: VirtualMachineExportLink | None = None
    internal: VirtualMachineExportLink | None = None


class VirtualMachineExportSpec(Object, frozen=True, kw_only=True):
    """What to export and for how long."""

    source: TypedLocalObjectReference
    token_secret_ref: str | None = None
    ttl_duration: str | None = None


class VirtualMachineExportStatus(Object, frozen=True, kw_only=True):
    """Where the export is served."""

    conditions: list[Condition] = []
    links: VirtualMachineExportLinks | None = None
    phase: str | None = None
    service_name: str | None = None
    token_secret_ref: str | None = None
    ttl_expiration_time: Time | None = None
    virtual_machine_name: str | None = None


class VirtualMachineExport(Object, frozen=True, kw_only=True):
    """Serves the disks of a machine, a snapshot or a claim."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineExportSpec
    status: VirtualMachineExportStatus = VirtualMachineExportStatus()
