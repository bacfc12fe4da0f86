"""migrations.kubevirt.io/v1alpha1: policies of live migrations."""

from kobune.api.migrations.types import (
    MigrationPolicy,
    MigrationPolicySpec,
    MigrationPolicyStatus,
    Selectors,
)

__all__ = [
    "MigrationPolicy",
    "MigrationPolicySpec",
    "MigrationPolicyStatus",
    "Selectors",
]
