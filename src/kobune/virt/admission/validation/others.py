"""Replica sets and migrations."""

import msgspec

from kobune.api.kubevirt import VirtualMachineInstanceMigration, VirtualMachineInstanceReplicaSet
from kobune.api.meta import LabelSelector
from kobune.virt.admission.review import Problem, Reason
from kobune.virt.admission.validation.instance import check_annotations, check_labels, check_spec

__all__ = ["check_migration", "check_migration_update", "check_replica_set", "selects"]


def check_replica_set(
    replica_set: VirtualMachineInstanceReplicaSet, gates: frozenset[str]
) -> tuple[list[Problem], list[str]]:
    """The template, and that the selector selects it."""
    template = replica_set.spec.template
    if template.spec is None:
        return [Problem("spec.template.spec", Reason.REQUIRED, "spec.template.spec is required")], []
    problems, warnings = check_spec("spec.template.spec", template.spec, gates)
    problems = problems + check_labels("spec.template.metadata.labels", template.metadata.labels)
    problems += check_annotations("spec.template.metadata.annotations", template.metadata.annotations, gates)
    if not selects(replica_set.spec.selector, template.metadata.labels):
        problems.append(Problem("spec.selector", Reason.INVALID, "selector does not match labels."))
    return problems, warnings


def check_migration(migration: VirtualMachineInstanceMigration) -> list[Problem]:
    """That it says what should move."""
    if not migration.spec.vmi_name:
        return [Problem("spec.vmiName", Reason.REQUIRED, "vmiName is missing")]
    return []


def check_migration_update(old: VirtualMachineInstanceMigration, new: VirtualMachineInstanceMigration) -> list[Problem]:
    """What a migration moves cannot change."""
    if msgspec.to_builtins(old.spec) != msgspec.to_builtins(new.spec):
        return [Problem("", Reason.NOT_SUPPORTED, "update of Migration object's spec is restricted")]
    return []


def selects(selector: LabelSelector, labels: dict[str, str]) -> bool:
    """Whether a selector selects objects with these labels."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for item in selector.match_expressions:
        value = labels.get(item.key)
        matched = {
            "In": value in item.values,
            "NotIn": value not in item.values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }.get(item.operator, False)
        if not matched:
            return False
    return True
