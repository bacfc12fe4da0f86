"""Snapshots of virtual machines. Source: snapshot.kubevirt.io/v1beta1."""

from msgspec import field

from kobune.api.core import PersistentVolumeClaimSpec, TypedLocalObjectReference
from kobune.api.kubevirt.vm import VirtualMachineSpec, VirtualMachineStatus
from kobune.api.meta import Object, ObjectMeta, Time

__all__ = [
    "Condition",
    "Error",
    "PersistentVolumeClaim",
    "SnapshotVolumesLists",
    "SourceIndication",
    "SourceSpec",
    "VirtualMachine",
    "VirtualMachineRestore",
    "VirtualMachineRestoreSpec",
    "VirtualMachineRestoreStatus",
    "VirtualMachineSnapshot",
    "VirtualMachineSnapshotContent",
    "VirtualMachineSnapshotContentSpec",
    "VirtualMachineSnapshotContentStatus",
    "VirtualMachineSnapshotSpec",
    "VirtualMachineSnapshotStatus",
    "VolumeBackup",
    "VolumeRestore",
    "VolumeRestoreOverride",
    "VolumeSnapshotStatus",
]


class Condition(Object, frozen=True, kw_only=True):
    """Ready, Progressing or Failure."""

    type: str
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str


class Error(Object, frozen=True, kw_only=True):
    """What went wrong, and when."""

    message: str | None = None
    time: Time | None = None


class SnapshotVolumesLists(Object, frozen=True, kw_only=True):
    """Volumes that are part of a snapshot, and those that are not."""

    excluded_volumes: list[str] = []
    included_volumes: list[str] = []


class SourceIndication(Object, frozen=True, kw_only=True):
    """A remark about how the snapshot was taken."""

    indication: str
    message: str


class VolumeSnapshotStatus(Object, frozen=True, kw_only=True):
    """State of one volume's snapshot."""

    volume_snapshot_name: str
    creation_time: Time | None = None
    error: Error | None = None
    ready_to_use: bool | None = None


class VirtualMachineSnapshotSpec(Object, frozen=True, kw_only=True):
    """The machine to be kept, and what happens to the content when the snapshot is deleted."""

    source: TypedLocalObjectReference
    deletion_policy: str | None = None
    failure_deadline: str | None = None


class VirtualMachineSnapshotStatus(Object, frozen=True, kw_only=True):
    """How far the snapshot is."""

    conditions: list[Condition] = []
    creation_time: Time | None = None
    error: Error | None = None
    indications: list[str] = []
    phase: str | None = None
    ready_to_use: bool | None = None
    snapshot_volumes: SnapshotVolumesLists | None = None
    source_indications: list[SourceIndication] = []
    source_uid: str | None = field(name="sourceUID", default=None)
    virtual_machine_snapshot_content_name: str | None = None


class VirtualMachineSnapshot(Object, frozen=True, kw_only=True):
    """The state of a machine at one moment."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineSnapshotSpec
    status: VirtualMachineSnapshotStatus = VirtualMachineSnapshotStatus()


class PersistentVolumeClaim(Object, frozen=True, kw_only=True):
    """A claim as it was."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeClaimSpec | None = None


class VirtualMachine(Object, frozen=True, kw_only=True):
    """A machine as it was."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineSpec | None = None
    status: VirtualMachineStatus = VirtualMachineStatus()


class SourceSpec(Object, frozen=True, kw_only=True):
    """What the snapshot holds."""

    virtual_machine: VirtualMachine | None = None


class VolumeBackup(Object, frozen=True, kw_only=True):
    """A volume's claim and its snapshot."""

    persistent_volume_claim: PersistentVolumeClaim
    volume_name: str
    volume_snapshot_name: str | None = None


class VirtualMachineSnapshotContentSpec(Object, frozen=True, kw_only=True):
    """What was kept, and of which snapshot."""

    source: SourceSpec
    virtual_machine_snapshot_name: str | None = None
    volume_backups: list[VolumeBackup] = []


class VirtualMachineSnapshotContentStatus(Object, frozen=True, kw_only=True):
    """State of the volumes' snapshots."""

    creation_time: Time | None = None
    error: Error | None = None
    ready_to_use: bool | None = None
    volume_snapshot_status: list[VolumeSnapshotStatus] = []


class VirtualMachineSnapshotContent(Object, frozen=True, kw_only=True):
    """What a snapshot consists of."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineSnapshotContentSpec
    status: VirtualMachineSnapshotContentStatus = VirtualMachineSnapshotContentStatus()


class VolumeRestoreOverride(Object, frozen=True, kw_only=True):
    """Another name, labels or annotations for a restored volume."""

    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}
    restore_name: str | None = None
    volume_name: str | None = None


class VolumeRestore(Object, frozen=True, kw_only=True):
    """A volume that is being restored."""

    persistent_volume_claim: str
    volume_name: str
    volume_snapshot_name: str
    data_volume_name: str | None = None


class VirtualMachineRestoreSpec(Object, frozen=True, kw_only=True):
    """Which snapshot to bring back into which machine."""

    target: TypedLocalObjectReference
    virtual_machine_snapshot_name: str
    patches: list[str] = []
    target_readiness_policy: str | None = None
    volume_ownership_policy: str | None = None
    volume_restore_overrides: list[VolumeRestoreOverride] = []
    volume_restore_policy: str | None = None


class VirtualMachineRestoreStatus(Object, frozen=True, kw_only=True):
    """How far the restore is."""

    complete: bool | None = None
    conditions: list[Condition] = []
    deleted_data_volumes: list[str] = []
    restore_time: Time | None = None
    restores: list[VolumeRestore] = []


class VirtualMachineRestore(Object, frozen=True, kw_only=True):
    """Brings a machine back to a snapshot."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineRestoreSpec
    status: VirtualMachineRestoreStatus = VirtualMachineRestoreStatus()
