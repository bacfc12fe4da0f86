"""VirtualMachineInstanceMigration. Source: kubevirt.io/v1."""

from msgspec import field

from kobune.api.kubevirt.migration_state import (
    VirtualMachineInstanceMigrationState,
)
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
    """Where the other cluster listens."""
    migration_id: str = field(name="migrationID")
    """The id that both sides share."""


class VirtualMachineInstanceMigrationTarget(Object, frozen=True, kw_only=True):
    """The other cluster's end, for migrations between clusters."""

    migration_id: str = field(name="migrationID")
    """The id that both sides share."""


class VirtualMachineInstanceMigrationSpec(Object, frozen=True, kw_only=True):
    """The VMI that should move."""

    added_node_selector: dict[str, str] = {}
    """Labels that the target must have, besides those of the VMI."""
    priority: str | None = None
    """Which of the waiting migrations goes first."""
    receive: VirtualMachineInstanceMigrationTarget | None = None
    send_to: VirtualMachineInstanceMigrationSource | None = None
    vmi_name: str | None = None
    """The VMI, in the same namespace."""


class VirtualMachineInstanceMigrationCondition(Object, frozen=True, kw_only=True):
    """`status` is True, False or Unknown."""

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


class VirtualMachineInstanceMigrationPhaseTransitionTimestamp(Object, frozen=True, kw_only=True):
    """When a phase was entered."""

    phase: str | None = None
    """The phase."""
    phase_transition_timestamp: Time | None = None
    """When it was entered."""


class VirtualMachineInstanceMigrationStatus(Object, frozen=True, kw_only=True):
    """`phase` goes from Pending to Succeeded or Failed."""

    conditions: list[VirtualMachineInstanceMigrationCondition] = []
    """What is true of the migration, one by one."""
    migration_state: VirtualMachineInstanceMigrationState | None = None
    phase: str | None = None
    """How far it is."""
    phase_transition_timestamps: list[VirtualMachineInstanceMigrationPhaseTransitionTimestamp] = []
    """When each phase was entered."""
    synchronization_addresses: list[str] = []
    """Where the other cluster reaches this one."""


class VirtualMachineInstanceMigration(Object, frozen=True, kw_only=True):
    """One attempt to move a running guest to another node."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstanceMigrationSpec
    status: VirtualMachineInstanceMigrationStatus = VirtualMachineInstanceMigrationStatus()
