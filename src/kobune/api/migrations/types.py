"""Policies of live migrations. Source: migrations.kubevirt.io/v1alpha1."""

from msgspec import field

from kobune.api.kubevirt.migration_state import (
    ExperimentalMigrationOptions,
)
from kobune.api.meta import Int64, Object, ObjectMeta, QuantityValue

__all__ = [
    "MigrationPolicy",
    "MigrationPolicySpec",
    "MigrationPolicyStatus",
    "Selectors",
]


class Selectors(Object, frozen=True, kw_only=True):
    """Namespaces and instances that a policy is for."""

    namespace_selector: dict[str, str] = {}
    """Labels of the namespaces."""
    virtual_machine_instance_selector: dict[str, str] = {}
    """Labels of the instances."""


class MigrationPolicySpec(Object, frozen=True, kw_only=True):
    """Settings that replace the cluster's for what is selected."""

    selectors: Selectors
    allow_auto_converge: bool | None = None
    """Whether a guest is slowed down that writes faster than it can be copied."""
    allow_post_copy: bool | None = None
    """Whether a guest may go over before all its memory has."""
    allow_workload_disruption: bool | None = None
    """Whether a guest may be paused to finish."""
    bandwidth_per_migration: QuantityValue | None = None
    """The most bytes a second; 0 means no limit."""
    completion_timeout_per_gib: Int64 | None = field(name="completionTimeoutPerGiB", default=None)
    """Seconds per GiB of memory until a migration is given up."""
    experimental: ExperimentalMigrationOptions | None = None
    max_downtime_ms: Int64 | None = None
    """The longest pause at the end, in milliseconds."""


class MigrationPolicyStatus(Object, frozen=True, kw_only=True):
    """Nothing yet."""


class MigrationPolicy(Object, frozen=True, kw_only=True):
    """Migration settings for some of the instances."""

    metadata: ObjectMeta = ObjectMeta()
    spec: MigrationPolicySpec
    status: MigrationPolicyStatus = MigrationPolicyStatus()
