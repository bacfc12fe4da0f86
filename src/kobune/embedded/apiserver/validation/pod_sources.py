"""What pods take from elsewhere: paths of files, fields of the pod, resources of containers, keys of objects.

Shared by the rules of volumes and of environment variables.
"""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_qualified_name

__all__ = [
    "ENV_FIELDS",
    "VOLUME_FIELDS",
    "descending",
    "field_ref",
    "keys_to_paths",
    "local_path",
    "mode",
    "resource_ref",
]

MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_KNOWN = frozenset(
    (*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "spec.host", "status.phase")
)
_RESOURCES = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
_HUGE = ("limits.hugepages-", "requests.hugepages-")


def mode(value: Any, path: str) -> list[FieldError]:
    """File permissions."""
    return [] if value is None or 0 <= value <= 0o777 else [FieldError.invalid(path, value, MODE_TEXT)]


def no_backsteps(value: str, path: str) -> list[FieldError]:
    """No step of the path goes up."""
    return [FieldError.invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def descending(value: str, path: str) -> list[FieldError]:
    """A relative path that stays below."""
    errors = [FieldError.invalid(path, value, "must be a relative path")] if value.startswith("/") else []
    return errors + no_backsteps(value, path)


def local_path(value: str, path: str) -> list[FieldError]:
    """A file's path in a volume."""
    errors = descending(value, path)
    if value.startswith("..") and not value.startswith("../") and value != "..":
        errors.append(FieldError.invalid(path, value, "must not start with '..'"))
    return errors


def keys_to_paths(items: list[dict[str, Any]], path: str) -> list[FieldError]:
    """Which keys of an object become which files."""
    errors: list[FieldError] = []
    for i, item in enumerate(items):
        at = f"{path}[{i}]"
        if not item.get("key"):
            errors.append(FieldError.required(f"{at}.key"))
        if not item.get("path"):
            errors.append(FieldError.required(f"{at}.path"))
        errors += local_path(item.get("path", ""), f"{at}.path") + mode(item.get("mode"), f"{at}.mode")
    return errors


def field_ref(reference: dict[str, Any], path: str, allowed: tuple[str, ...]) -> list[FieldError]:
    """A field of the pod."""
    if not reference.get("apiVersion"):
        return [FieldError.required(f"{path}.apiVersion")]
    given = reference.get("fieldPath", "")
    if not given:
        return [FieldError.required(f"{path}.fieldPath")]
    name, opening, rest = given.partition("['")
    if opening and rest.endswith("']"):
        key = rest.removesuffix("']")
        if name not in ("metadata.annotations", "metadata.labels"):
            return [FieldError.invalid(path, name, "does not support subscript")]
        return [
            FieldError.invalid(path, key, m)
            for m in is_qualified_name(key.lower() if name == "metadata.annotations" else key)
        ]
    if given not in _KNOWN:
        text = f"error converting fieldPath: field label not supported: {given}"
        return [FieldError.invalid(f"{path}.fieldPath", given, text)]
    shown = "spec.nodeName" if given == "spec.host" else given
    return [] if shown in allowed else [FieldError.not_supported(f"{path}.fieldPath", shown, allowed)]


def resource_ref(reference: dict[str, Any], path: str, *, volume: bool) -> list[FieldError]:
    """A container's resource."""
    if volume and not reference.get("containerName"):
        return [FieldError.required(f"{path}.containerName")]
    name = reference.get("resource", "")
    if not name:
        return [FieldError.required(f"{path}.resource")]
    if name in _RESOURCES or name.startswith(_HUGE):
        return []
    return [FieldError.not_supported(f"{path}.resource", name, _RESOURCES)]
