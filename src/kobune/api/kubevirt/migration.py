"""VirtualMachineInstanceMigration. Source: kubevirt.io/v1."""

from msgspec import field

from kobune.api.kubevirt.status import VirtualMachineInstanceMigrationState
from kobune.api.meta import Object, ObjectMeta, Time

__all__ = [
    "VirtualMachineInstanceMigration",
    "VirtualMachineInstanceMigrationCondition",
    "VirtualMachineInstanceMigrationPhaseTransitionTimestamp",
    "VirtualMachineInstanceMigrationSource",
    "VirtualMachineInstanceMigrationSpec",
    "VirtualMachineInstanceMigrationStatus",
    "VirtualMachineInstanceMigrationTarget",
]


class VirtualMachineInstanceMigrationSource(Object, frozen=True, kw_only=True):
    """The other cluster's end, for migrations between clusters."""

    connect_url: str = field(name="connectURL")
    migration_id: str = field(name="migrationID")


class VirtualMachineInstanceMigrationTarget(Object, frozen=True, kw_only=True):
    """The other cluster's end, for migrations between clusters."""

    migration_id: str = field(name="migrationID")


class VirtualMachineInstanceMigrationSpec(Object, frozen=True, kw_only=True):
    """The VMI that should move."""

    added_node_selector: dict[str, str] = {}
    priority: str | None = None
    receive: VirtualMachineInstanceMigrationTarget | None = None
    send_to: VirtualMachineInstanceMigrationSource | None = None
    vmi_name: str | None = None


class VirtualMachineInstanceMigrationCondition(Object, frozen=True, kw_only=True):
    """`status` is True, False or Unknown."""

    type: str
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str


class VirtualMachineInstanceMigrationPhaseTransitionTimestamp(Object, frozen=True, kw_only=True):
    """When a phase was entered."""

    phase: str | None = None
    phase_transition_timestamp: Time | None = None


class VirtualMachineInstanceMigrationStatus(Object, frozen=True, kw_only=True):
    """`phase` goes from Pending to Succeeded or Failed."""

    conditions: list[VirtualMachineInstanceMigrationCondition] = []
    migration_state: VirtualMachineInstanceMigrationState | None = None
    phase: str | None = None
    phase_transition_timestamps: list[VirtualMachineInstanceMigrationPhaseTransitionTimestamp] = []
    synchronization_addresses: list[str] = []


class VirtualMachineInstanceMigration(Object, frozen=True, kw_only=True):
    """One attempt to move a running guest to another node."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstanceMigrationSpec
    status: VirtualMachineInstanceMigrationStatus = VirtualMachineInstanceMigrationStatus()
