"""The rules of webhooks and policies: which operations on which resources."""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.validation.checks import one_of

__all__ = ["rule"]

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")


def rule(given: dict[str, Any], path: str) -> list[FieldError]:
    """One RuleWithOperations."""
    errors: list[FieldError] = []
    operations = given.get("operations") or []
    if not operations:
        errors.append(FieldError.required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        text = "if '*' is present, must not specify other operations"
        errors.append(FieldError.invalid(f"{path}.operations", operations, text))
    for i, operation in enumerate(operations):
        errors += one_of(operation, _OPERATIONS, f"{path}.operations[{i}]")
    for field, text in (
        ("apiGroups", "if '*' is present, must not specify other API groups"),
        ("apiVersions", "if '*' is present, must not specify other API versions"),
    ):
        values = given.get(field) or []
        if not values:
            errors.append(FieldError.required(f"{path}.{field}"))
        elif len(values) > 1 and "*" in values:
            errors.append(FieldError.invalid(f"{path}.{field}", values, text))
    versions = given.get("apiVersions") or []
    errors += [FieldError.required(f"{path}.apiVersions[{i}]") for i, version in enumerate(versions) if not version]
    errors += _resources(given.get("resources") or [], f"{path}.resources")
    return errors + one_of(given.get("scope"), ("*", "Cluster", "Namespaced"), f"{path}.scope")


def _resources(resources: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not resources:
        errors.append(FieldError.required(path))
    all_parts_of: set[str] = set()
    part_of_all: set[str] = set()
    whole = False
    for i, entry in enumerate(resources):
        at = f"{path}[{i}]"
        if not entry:
            errors.append(FieldError.required(at))
            continue
        resource, slash, part = entry.partition("/")
        if not slash:
            whole = entry != "*"
            continue
        if resource in all_parts_of:
            text = f"if '{resource}/*' is present, must not specify {entry}"
            errors.append(FieldError.invalid(at, entry, text))
        if part in part_of_all:
            text = f"if '*/{part}' is present, must not specify {entry}"
            errors.append(FieldError.invalid(at, entry, text))
        if part == "*":
            all_parts_of.add(resource)
        if resource == "*":
            part_of_all.add(part)
    if len(resources) > 1 and "*/*" in resources:
        text = "if '*/*' is present, must not specify other resources"
        errors.append(FieldError.invalid(path, resources, text))
    if "*" in resources and whole:
        text = "if '*' is present, must not specify other resources without subresources"
        errors.append(FieldError.invalid(path, resources, text))
    return errors
