"""Policies of live migrations. Source: migrations.kubevirt.io/v1alpha1."""

from msgspec import field

from kobune.api.kubevirt.status import ExperimentalMigrationOptions
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
    virtual_machine_instance_selector: dict[str, str] = {}


class MigrationPolicySpec(Object, frozen=True, kw_only=True):
    """Settings that replace the cluster's for what is selected."""

    selectors: Selectors
    allow_auto_converge: bool | None = None
    allow_post_copy: bool | None = None
    allow_workload_disruption: bool | None = None
    bandwidth_per_migration: QuantityValue | None = None
    completion_timeout_per_gib: Int64 | None = field(name="completionTimeoutPerGiB", default=None)
    experimental: ExperimentalMigrationOptions | None = None
    max_downtime_ms: Int64 | None = None


class MigrationPolicyStatus(Object, frozen=True, kw_only=True):
    """Nothing yet."""


class MigrationPolicy(Object, frozen=True, kw_only=True):
    """Migration settings for some of the instances."""

    metadata: ObjectMeta = ObjectMeta()
    spec: MigrationPolicySpec
    status: MigrationPolicyStatus = MigrationPolicyStatus()
