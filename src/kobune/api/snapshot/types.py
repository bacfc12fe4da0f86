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


class Error(Object, frozen=True, kw_only=True):
    """What went wrong, and when."""

    message: str | None = None
    """What went wrong."""
    time: Time | None = None
    """When."""


class SnapshotVolumesLists(Object, frozen=True, kw_only=True):
    """Volumes that are part of a snapshot, and those that are not."""

    excluded_volumes: list[str] = []
    """Volumes that cannot be part of it."""
    included_volumes: list[str] = []
    """Volumes that are part of it."""


class SourceIndication(Object, frozen=True, kw_only=True):
    """A remark about how the snapshot was taken."""

    indication: str
    """Online, GuestAgent, NoGuestAgent, QuiesceFailed or Paused."""
    message: str
    """What it means."""


class VolumeSnapshotStatus(Object, frozen=True, kw_only=True):
    """State of one volume's snapshot."""

    volume_snapshot_name: str
    """The VolumeSnapshot."""
    creation_time: Time | None = None
    """When it was taken."""
    error: Error | None = None
    ready_to_use: bool | None = None
    """Whether it can be restored."""


class VirtualMachineSnapshotSpec(Object, frozen=True, kw_only=True):
    """The machine to be kept, and what happens to the content when the snapshot is deleted."""

    source: TypedLocalObjectReference
    deletion_policy: str | None = None
    """Delete or Retain; Delete if left out."""
    failure_deadline: str | None = None
    """How long it may take, such as 5m; 0 means no limit."""


class VirtualMachineSnapshotStatus(Object, frozen=True, kw_only=True):
    """How far the snapshot is."""

    conditions: list[Condition] = []
    """What is true of the snapshot, one by one."""
    creation_time: Time | None = None
    """When it was taken."""
    error: Error | None = None
    indications: list[str] = []
    """How it was taken, by one word each."""
    phase: str | None = None
    """InProgress, Succeeded, Failed, Deleting or Unknown."""
    ready_to_use: bool | None = None
    """Whether it can be restored."""
    snapshot_volumes: SnapshotVolumesLists | None = None
    source_indications: list[SourceIndication] = []
    """How it was taken."""
    source_uid: str | None = field(name="sourceUID", default=None)
    """The machine's uid."""
    virtual_machine_snapshot_content_name: str | None = None
    """What it consists of."""


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
    """The volume."""
    volume_snapshot_name: str | None = None
    """Its VolumeSnapshot."""


class VirtualMachineSnapshotContentSpec(Object, frozen=True, kw_only=True):
    """What was kept, and of which snapshot."""

    source: SourceSpec
    virtual_machine_snapshot_name: str | None = None
    """The snapshot."""
    volume_backups: list[VolumeBackup] = []
    """The volumes' claims and snapshots."""


class VirtualMachineSnapshotContentStatus(Object, frozen=True, kw_only=True):
    """State of the volumes' snapshots."""

    creation_time: Time | None = None
    """When it was taken."""
    error: Error | None = None
    ready_to_use: bool | None = None
    """Whether it can be restored."""
    volume_snapshot_status: list[VolumeSnapshotStatus] = []
    """The volumes' snapshots, one by one."""


class VirtualMachineSnapshotContent(Object, frozen=True, kw_only=True):
    """What a snapshot consists of."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineSnapshotContentSpec
    status: VirtualMachineSnapshotContentStatus = VirtualMachineSnapshotContentStatus()


class VolumeRestoreOverride(Object, frozen=True, kw_only=True):
    """Another name, labels or annotations for a restored volume."""

    annotations: dict[str, str] = {}
    """Annotations for the new claim."""
    labels: dict[str, str] = {}
    """Labels for the new claim."""
    restore_name: str | None = None
    """The new claim's name."""
    volume_name: str | None = None
    """The volume."""


class VolumeRestore(Object, frozen=True, kw_only=True):
    """A volume that is being restored."""

    persistent_volume_claim: str
    """The claim that is made."""
    volume_name: str
    """The volume."""
    volume_snapshot_name: str
    """What it is made from."""
    data_volume_name: str | None = None
    """The DataVolume that is made."""


class VirtualMachineRestoreSpec(Object, frozen=True, kw_only=True):
    """Which snapshot to bring back into which machine."""

    target: TypedLocalObjectReference
    virtual_machine_snapshot_name: str
    """The snapshot, in the same namespace."""
    patches: list[str] = []
    """JSON patches for the restored machine."""
    target_readiness_policy: str | None = None
    """What happens if the machine runs: StopTarget, WaitGracePeriod, FailImmediate or WaitEventually."""
    volume_ownership_policy: str | None = None
    """Who owns the new claims: Vm or None."""
    volume_restore_overrides: list[VolumeRestoreOverride] = []
    """What the new claims are called."""
    volume_restore_policy: str | None = None
    """Whether claims are made under new names (RandomizeNames, PrefixTargetName) or replaced (InPlace)."""


class VirtualMachineRestoreStatus(Object, frozen=True, kw_only=True):
    """How far the restore is."""

    complete: bool | None = None
    """Whether it is done."""
    conditions: list[Condition] = []
    """What is true of the restore, one by one."""
    deleted_data_volumes: list[str] = []
    """DataVolumes that were deleted for it."""
    restore_time: Time | None = None
    """When it ended."""
    restores: list[VolumeRestore] = []
    """Volumes, one by one."""


class VirtualMachineRestore(Object, frozen=True, kw_only=True):
    """Brings a machine back to a snapshot."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineRestoreSpec
    status: VirtualMachineRestoreStatus = VirtualMachineRestoreStatus()
