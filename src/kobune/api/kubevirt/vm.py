"""VirtualMachine: what a user owns; it outlives its instances. Source: kubevirt.io/v1."""

from msgspec import field

from kobune.api.cdi.datavolume import DataVolumeSpec
from kobune.api.kubevirt.devices import Disk
from kobune.api.kubevirt.instance import VirtualMachineInstanceTemplateSpec
from kobune.api.kubevirt.status import ChangedBlockTrackingStatus, StorageMigratedVolumeInfo
from kobune.api.kubevirt.volumes import HotplugVolumeSource
from kobune.api.meta import Int32, Int64, Object, ObjectMeta, Time

__all__ = [
    "AddVolumeOptions",
    "ControllerRevisionRef",
    "DataVolumeTemplateDummyStatus",
    "DataVolumeTemplateSpec",
    "InstancetypeMatcher",
    "InstancetypeStatusRef",
    "PreferenceMatcher",
    "RemoveVolumeOptions",
    "VirtualMachine",
    "VirtualMachineCondition",
    "VirtualMachineMemoryDumpRequest",
    "VirtualMachineSpec",
    "VirtualMachineStartFailure",
    "VirtualMachineStateChangeRequest",
    "VirtualMachineStatus",
    "VirtualMachineVolumeRequest",
    "VolumeMigrationState",
    "VolumeSnapshotStatus",
    "VolumeUpdateState",
]


class InstancetypeMatcher(Object, frozen=True, kw_only=True):
    """An instancetype by name, or inferred from a volume; `revision_name` pins it."""

    name: str | None = None
    """The instancetype's name."""
    infer_from_volume: str | None = None
    """The volume whose labels name the instancetype."""
    infer_from_volume_failure_policy: str | None = None
    """What happens if they don't: Reject or Ignore."""
    kind: str | None = None
    """VirtualMachineInstancetype or VirtualMachineClusterInstancetype; the cluster's if left out."""
    revision_name: str | None = None
    """The ControllerRevision in use; filled in at the first start."""


class PreferenceMatcher(Object, frozen=True, kw_only=True):
    """A preference by name, or inferred from a volume; `revision_name` pins it."""

    name: str | None = None
    """The preference's name."""
    infer_from_volume: str | None = None
    """The volume whose labels name the preference."""
    infer_from_volume_failure_policy: str | None = None
    """What happens if they don't: Reject or Ignore."""
    kind: str | None = None
    """VirtualMachinePreference or VirtualMachineClusterPreference; the cluster's if left out."""
    revision_name: str | None = None
    """The ControllerRevision in use; filled in at the first start."""


class ControllerRevisionRef(Object, frozen=True, kw_only=True):
    """A ControllerRevision in the VM's namespace."""

    name: str | None = None
    """Its name."""


class InstancetypeStatusRef(Object, frozen=True, kw_only=True):
    """The instancetype or preference in use, with its revision."""

    name: str | None = None
    """Its name."""
    controller_revision_ref: ControllerRevisionRef | None = None
    infer_from_volume: str | None = None
    """The volume that it was inferred from."""
    infer_from_volume_failure_policy: str | None = None
    """What was to happen if it could not be."""
    kind: str | None = None
    """Its kind."""


class DataVolumeTemplateDummyStatus(Object, frozen=True, kw_only=True):
    """Present for old manifests; never filled."""


class DataVolumeTemplateSpec(Object, frozen=True, kw_only=True):
    """A DataVolume that the VM owns."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DataVolumeSpec
    api_version: str | None = None
    """cdi.kubevirt.io/v1beta1."""
    kind: str | None = None
    """DataVolume."""
    status: DataVolumeTemplateDummyStatus | None = None


class VirtualMachineSpec(Object, frozen=True, kw_only=True):
    """`run_strategy` or (old) `running`, and the template of the instance."""

    template: VirtualMachineInstanceTemplateSpec
    data_volume_templates: list[DataVolumeTemplateSpec] = []
    """DataVolumes that are made with the machine and deleted with it."""
    instancetype: InstancetypeMatcher | None = None
    preference: PreferenceMatcher | None = None
    run_strategy: str | None = None
    """Always, RerunOnFailure, Once, Manual, Halted or WaitAsReceiver."""
    running: bool | None = None
    """The old way to say Always (true) or Halted (false)."""
    update_volumes_strategy: str | None = None
    """How changed volumes of a running machine are handled: Replacement at the next start, or Migration."""

    @property
    def strategy(self) -> str:
        """The run strategy, also of a machine that says `running`."""
        return self.run_strategy or ("Always" if self.running else "Halted")


class VirtualMachineCondition(Object, frozen=True, kw_only=True):
    """`type` such as Ready, Failure, Paused or RestartRequired."""

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


class VirtualMachineStateChangeRequest(Object, frozen=True, kw_only=True):
    """A start or stop somebody asked for; `uid` is that of the instance to stop."""

    action: str
    """Start or Stop."""
    data: dict[str, str] = {}
    """Settings of the action, such as paused."""
    uid: str | None = None
    """The instance to stop."""


class AddVolumeOptions(Object, frozen=True, kw_only=True):
    """The body of addvolume."""

    name: str
    """The volume's name in the machine."""
    disk: Disk
    volume_source: HotplugVolumeSource
    dry_run: list[str] = []
    """All checks the request and changes nothing."""


class RemoveVolumeOptions(Object, frozen=True, kw_only=True):
    """The body of removevolume."""

    name: str
    """The volume's name in the machine."""
    dry_run: list[str] = []
    """All checks the request and changes nothing."""


class VirtualMachineVolumeRequest(Object, frozen=True, kw_only=True):
    """A volume to be plugged or unplugged."""

    add_volume_options: AddVolumeOptions | None = None
    remove_volume_options: RemoveVolumeOptions | None = None


class VirtualMachineMemoryDumpRequest(Object, frozen=True, kw_only=True):
    """A memory dump somebody asked for."""

    claim_name: str
    """The claim that receives it."""
    phase: str
    """Associating, InProgress, Unmounting, Completed, Dissociating or Failed."""
    end_timestamp: Time | None = None
    """When it ended."""
    file_name: str | None = None
    """The file in the claim."""
    message: str | None = None
    """Why it failed."""
    remove: bool | None = None
    """Whether the claim is to be taken off."""
    start_timestamp: Time | None = None
    """When it began."""


class VirtualMachineStartFailure(Object, frozen=True, kw_only=True):
    """Back-off after failed starts."""

    consecutive_fail_count: Int32 | None = None
    """Failed starts in a row."""
    last_failed_vmi_uid: str | None = field(name="lastFailedVMIUID", default=None)
    """The instance that failed last."""
    retry_after_timestamp: Time | None = None
    """No start before this time."""


class VolumeSnapshotStatus(Object, frozen=True, kw_only=True):
    """Whether a volume can be part of a snapshot."""

    name: str
    """The volume."""
    enabled: bool
    """Whether it can be part of a snapshot."""
    reason: str | None = None
    """Why not."""


class VolumeMigrationState(Object, frozen=True, kw_only=True):
    """Volumes on their way to other storage."""

    migrated_volumes: list[StorageMigratedVolumeInfo] = []
    """The volumes that move."""


class VolumeUpdateState(Object, frozen=True, kw_only=True):
    """A change of volumes under way."""

    volume_migration_state: VolumeMigrationState | None = None


class VirtualMachineStatus(Object, frozen=True, kw_only=True):
    """`printable_status` is the one word for people."""

    changed_block_tracking: ChangedBlockTrackingStatus | None = None
    conditions: list[VirtualMachineCondition] = []
    """What is true of the machine, one by one."""
    created: bool | None = None
    """Whether an instance exists."""
    desired_generation: Int64 | None = None
    """The generation of the specification that was last seen."""
    instancetype_ref: InstancetypeStatusRef | None = None
    memory_dump_request: VirtualMachineMemoryDumpRequest | None = None
    observed_generation: Int64 | None = None
    """The generation that the running instance was made from."""
    preference_ref: InstancetypeStatusRef | None = None
    printable_status: str | None = None
    """Such as Stopped, Starting, Running, Paused, Stopping, Migrating, CrashLoopBackOff, or an error by its name."""
    ready: bool | None = None
    """Whether the instance is ready."""
    restore_in_progress: str | None = None
    """The restore under way."""
    run_strategy: str | None = None
    """The run strategy in force."""
    snapshot_in_progress: str | None = None
    """The snapshot under way."""
    start_failure: VirtualMachineStartFailure | None = None
    state_change_requests: list[VirtualMachineStateChangeRequest] = []
    """Starts and stops that somebody asked for."""
    volume_requests: list[VirtualMachineVolumeRequest] = []
    """Volumes to plug or unplug."""
    volume_snapshot_statuses: list[VolumeSnapshotStatus] = []
    """Whether each volume can be part of a snapshot."""
    volume_update_state: VolumeUpdateState | None = None


class VirtualMachine(Object, frozen=True, kw_only=True):
    """A virtual machine: its instance is made, ended and made again by its run strategy."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineSpec
    status: VirtualMachineStatus = VirtualMachineStatus()
