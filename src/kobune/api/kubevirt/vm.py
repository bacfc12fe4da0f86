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
    infer_from_volume: str | None = None
    infer_from_volume_failure_policy: str | None = None
    kind: str | None = None
    revision_name: str | None = None


class PreferenceMatcher(Object, frozen=True, kw_only=True):
    """A preference by name, or inferred from a volume; `revision_name` pins it."""

    name: str | None = None
    infer_from_volume: str | None = None
    infer_from_volume_failure_policy: str | None = None
    kind: str | None = None
    revision_name: str | None = None


class ControllerRevisionRef(Object, frozen=True, kw_only=True):
    """A ControllerRevision in the VM's namespace."""

    name: str | None = None


class InstancetypeStatusRef(Object, frozen=True, kw_only=True):
    """The instancetype or preference in use, with its revision."""

    name: str | None = None
    controller_revision_ref: ControllerRevisionRef | None = None
    infer_from_volume: str | None = None
    infer_from_volume_failure_policy: str | None = None
    kind: str | None = None


class DataVolumeTemplateDummyStatus(Object, frozen=True, kw_only=True):
    """Present for old manifests; never filled."""


class DataVolumeTemplateSpec(Object, frozen=True, kw_only=True):
    """A DataVolume that the VM owns."""

    metadata: ObjectMeta = ObjectMeta()
    spec: DataVolumeSpec
    api_version: str | None = None
    kind: str | None = None
    status: DataVolumeTemplateDummyStatus | None = None


class VirtualMachineSpec(Object, frozen=True, kw_only=True):
    """`run_strategy` or (old) `running`, and the template of the instance."""

    template: VirtualMachineInstanceTemplateSpec
    data_volume_templates: list[DataVolumeTemplateSpec] = []
    instancetype: InstancetypeMatcher | None = None
    preference: PreferenceMatcher | None = None
    run_strategy: str | None = None
    running: bool | None = None
    update_volumes_strategy: str | None = None


class VirtualMachineCondition(Object, frozen=True, kw_only=True):
    """`type` such as Ready, Failure, Paused or RestartRequired."""

    type: str
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str


class VirtualMachineStateChangeRequest(Object, frozen=True, kw_only=True):
    """A start or stop somebody asked for; `uid` is that of the instance to stop."""

    action: str
    data: dict[str, str] = {}
    uid: str | None = None


class AddVolumeOptions(Object, frozen=True, kw_only=True):
    """The body of addvolume."""

    name: str
    disk: Disk
    volume_source: HotplugVolumeSource
    dry_run: list[str] = []


class RemoveVolumeOptions(Object, frozen=True, kw_only=True):
    """The body of removevolume."""

    name: str
    dry_run: list[str] = []


class VirtualMachineVolumeRequest(Object, frozen=True, kw_only=True):
    """A volume to be plugged or unplugged."""

    add_volume_options: AddVolumeOptions | None = None
    remove_volume_options: RemoveVolumeOptions | None = None


class VirtualMachineMemoryDumpRequest(Object, frozen=True, kw_only=True):
    """A memory dump somebody asked for."""

    claim_name: str
    phase: str
    end_timestamp: Time | None = None
    file_name: str | None = None
    message: str | None = None
    remove: bool | None = None
    start_timestamp: Time | None = None


class VirtualMachineStartFailure(Object, frozen=True, kw_only=True):
    """Back-off after failed starts."""

    consecutive_fail_count: Int32 | None = None
    last_failed_vmi_uid: str | None = field(name="lastFailedVMIUID", default=None)
    retry_after_timestamp: Time | None = None


class VolumeSnapshotStatus(Object, frozen=True, kw_only=True):
    """Whether a volume can be part of a snapshot."""

    name: str
    enabled: bool
    reason: str | None = None


class VolumeMigrationState(Object, frozen=True, kw_only=True):
    """Volumes on their way to other storage."""

    migrated_volumes: list[StorageMigratedVolumeInfo] = []


class VolumeUpdateState(Object, frozen=True, kw_only=True):
    """A change of volumes under way."""

    volume_migration_state: VolumeMigrationState | None = None


class VirtualMachineStatus(Object, frozen=True, kw_only=True):
    """`printable_status` is the one word for people."""

    changed_block_tracking: ChangedBlockTrackingStatus | None = None
    conditions: list[VirtualMachineCondition] = []
    created: bool | None = None
    desired_generation: Int64 | None = None
    instancetype_ref: InstancetypeStatusRef | None = None
    memory_dump_request: VirtualMachineMemoryDumpRequest | None = None
    observed_generation: Int64 | None = None
    preference_ref: InstancetypeStatusRef | None = None
    printable_status: str | None = None
    ready: bool | None = None
    restore_in_progress: str | None = None
    run_strategy: str | None = None
    snapshot_in_progress: str | None = None
    start_failure: VirtualMachineStartFailure | None = None
    state_change_requests: list[VirtualMachineStateChangeRequest] = []
    volume_requests: list[VirtualMachineVolumeRequest] = []
    volume_snapshot_statuses: list[VolumeSnapshotStatus] = []
    volume_update_state: VolumeUpdateState | None = None


class VirtualMachine(Object, frozen=True, kw_only=True):
    """A virtual machine: its instance is made, ended and made again by its run strategy."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineSpec
    status: VirtualMachineStatus = VirtualMachineStatus()
