"""Backups by changed blocks. Source: backup.kubevirt.io/v1alpha1."""

from msgspec import field

from kobune.api.core import TypedLocalObjectReference
from kobune.api.meta import Condition, Object, ObjectMeta, Time

__all__ = [
    "BackupCheckpoint",
    "BackupOptions",
    "BackupVolumeInfo",
    "VirtualMachineBackup",
    "VirtualMachineBackupSpec",
    "VirtualMachineBackupStatus",
]


class BackupVolumeInfo(Object, frozen=True, kw_only=True):
    """A volume of a backup."""

    volume_name: str
    """The volume."""
    data_endpoint: str | None = None
    """Where the data are served."""
    map_endpoint: str | None = None
    """Where the map of changed blocks is served."""


class BackupCheckpoint(Object, frozen=True, kw_only=True):
    """The state that the next incremental backup starts from."""

    name: str | None = None
    creation_time: Time | None = None
    volumes: list[BackupVolumeInfo] = []


class BackupOptions(Object, frozen=True, kw_only=True):
    """How a backup is made."""

    backup_cert: str | None = None
    backup_key: str | None = None
    backup_name: str | None = None
    backup_start_time: Time | None = None
    ca_cert: str | None = None
    cmd: str | None = None
    export_server_addr: str | None = None
    export_server_name: str | None = None
    incremental: str | None = None
    mode: str | None = None
    skip_quiesce: bool | None = None
    target_path: str | None = None


class VirtualMachineBackupSpec(Object, frozen=True, kw_only=True):
    """What to back up and where to."""

    source: TypedLocalObjectReference
    force_full_backup: bool | None = None
    """Backs up everything, whatever was backed up before."""
    mode: str | None = None
    """Push or Pull."""
    pvc_name: str | None = None
    """The claim that receives it."""
    skip_quiesce: bool | None = None
    """Does not freeze the guest."""
    token_secret_ref: str | None = None
    """The Secret whose `token` downloads must present."""
    ttl_duration: str | None = None
    """How long it is served, such as 2h."""


class VirtualMachineBackupStatus(Object, frozen=True, kw_only=True):
    """How far the backup is."""

    type: str | None = None
    """Full or Incremental."""
    checkpoint_name: str | None = None
    """Its checkpoint."""
    conditions: list[Condition] = []
    """What is true of the backup, one by one."""
    endpoint_cert: str | None = None
    """The certificate to trust, PEM."""
    export_uid: str | None = field(name="exportUID", default=None)
    """The export's uid."""
    included_volumes: list[BackupVolumeInfo] = []
    """Volumes that are part of it."""


class VirtualMachineBackup(Object, frozen=True, kw_only=True):
    """A backup of a machine."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineBackupSpec
    status: VirtualMachineBackupStatus = VirtualMachineBackupStatus()
