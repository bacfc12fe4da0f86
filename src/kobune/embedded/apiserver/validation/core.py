"""Rules of configuration, services, volumes, quotas and other kinds of core/v1 but pods."""

import base64
import re
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import (
    is_dns1123_subdomain,
    is_qualified_name,
)
from kobune.embedded.apiserver.validation.checks import amount, immutable, one_of

__all__ = [
    "claim_create",
    "claim_update",
    "config_map_create",
    "config_map_update",
    "limit_range",
    "quota",
    "secret_create",
    "secret_update",
    "volume_create",
    "volume_update",
]

_CONFIG_LIMIT = 1048576
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_FROZEN = "field is immutable when `immutable` is set"
_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")


def _keys(data: dict[str, Any], field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in data:
        at = f"{field}[{key}]"
        if len(key) > 253:
            errors.append(FieldError.invalid(at, key, "must be no more than 253 characters"))
        if not _KEY.fullmatch(key):
            errors.append(FieldError.invalid(at, key, _KEY_TEXT))
        elif key in (".", "..") or key.startswith(".."):
            text = f"may not be '{key}'" if key in (".", "..") else "may not start with '..'"
            errors.append(FieldError.invalid(at, key, text))
    return errors


def config_map_create(obj: dict[str, Any]) -> list[FieldError]:
    """A ConfigMap's keys and size."""
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    errors = _keys(data, "data")
    for key in data:
        if key in binary:
            errors.append(FieldError.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    errors += _keys(binary, "binaryData")
    size = sum(len(v.encode()) for v in data.values()) + sum(len(base64.b64decode(v)) for v in binary.values())
    if size > _CONFIG_LIMIT:
        # The real server reports this at the unnamed root.
        errors.append(FieldError.too_long("[]", _CONFIG_LIMIT))
    return errors


def _frozen(obj: dict[str, Any], old: dict[str, Any], fields: tuple[str, ...]) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    errors: list[FieldError] = []
    if not obj.get("immutable"):
        errors.append(FieldError.forbidden("immutable", _FROZEN))
    errors += [FieldError.forbidden(f, _FROZEN) for f in fields if (obj.get(f) or {}) != (old.get(f) or {})]
    return errors


def config_map_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """An immutable ConfigMap stays as it is."""
    return _frozen(obj, old, ("data", "binaryData")) + config_map_create(obj)


_SECRET_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def secret_create(obj: dict[str, Any]) -> list[FieldError]:
    """A Secret's keys, size and what its type requires."""
    data = obj.get("data") or {}
    errors = _keys(data, "data")
    if sum(len(base64.b64decode(v)) for v in data.values() if v) > _CONFIG_LIMIT:
        errors.append(FieldError.too_long("data", _CONFIG_LIMIT))
    kind = obj.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        name = (obj["metadata"].get("annotations") or {}).get("kubernetes.io/service-account.name")
        if not name:
            errors.append(FieldError.required("metadata.annotations[kubernetes.io/service-account.name]"))
    if kind == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
        errors += [FieldError.required("data[username]"), FieldError.required("data[password]")]
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            errors.append(FieldError.required(f"data[{key}]"))
    return errors


def secret_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A Secret's type never changes; an immutable one stays as it is."""
    errors = immutable(obj.get("type"), old.get("type"), "type")
    return errors + _frozen(obj, old, ("data",)) + secret_create(obj)


def claim_create(obj: dict[str, Any]) -> list[FieldError]:
    """A claim's access modes and size."""
    return _claim_spec(obj.get("spec") or {}, "spec")


def _claim_spec(spec: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(FieldError.required(f"{path}.accessModes", "at least 1 access mode is required"))
    for mode in modes:
        errors += one_of(mode, sorted(_MODES), f"{path}.accessModes")
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        errors.append(FieldError.required(f"{path}.resources[storage]"))
    elif amount(size) <= 0:
        errors.append(FieldError.invalid(f"{path}.resources[storage]", size, "must be greater than zero"))
    errors += one_of(spec.get("volumeMode"), ("Block", "Filesystem"), f"{path}.volumeMode")
    name = spec.get("storageClassName")
    if name:
        errors += [FieldError.invalid(f"{path}.storageClassName", name, m) for m in is_dns1123_subdomain(name)]
    return errors


def claim_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A claim's spec stays, but that it may be bound and, when bound, grow."""
    errors = claim_create(obj)
    new_spec, old_spec = dict(obj.get("spec") or {}), dict(old.get("spec") or {})
    before = ((old_spec.get("resources") or {}).get("requests") or {}).get("storage")
    after = ((new_spec.get("resources") or {}).get("requests") or {}).get("storage")
    if not old_spec.get("volumeName"):
        old_spec.pop("volumeName", None)
        new_spec.pop("volumeName", None)
    if old_spec.get("storageClassName") is None:
        new_spec.pop("storageClassName", None)
        old_spec.pop("storageClassName", None)
    for name in ("resources", "volumeAttributesClassName"):
        new_spec.pop(name, None)
        old_spec.pop(name, None)
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if new_spec != old_spec or (before != after and not bound):
        text = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        errors.append(FieldError.forbidden("spec", text))
    elif before is not None and after is not None and amount(after) < amount(before):
        errors.append(
            FieldError.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
        )
    return errors


def volume_create(obj: dict[str, Any]) -> list[FieldError]:
    """A persistent volume's capacity, access modes and source."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(FieldError.required("spec.accessModes"))
    for mode in modes:
        errors += one_of(mode, sorted(_MODES), "spec.accessModes")
    capacity = spec.get("capacity") or {}
    if not capacity:
        errors.append(FieldError.required("spec.capacity"))
    elif set(capacity) != {"storage"}:
        errors.append(FieldError.not_supported("spec.capacity", capacity, ("storage",)))
    elif amount(capacity["storage"]) <= 0:
        errors.append(FieldError.invalid("spec.capacity[storage]", capacity["storage"], "must be greater than zero"))
    errors += one_of(
        spec.get("persistentVolumeReclaimPolicy"), ("Delete", "Recycle", "Retain"), "spec.persistentVolumeReclaimPolicy"
    )
    known = ("hostPath", "local", "csi", "nfs", "iscsi", "fc", "rbd", "cephfs", "flexVolume", "azureDisk", "azureFile")
    sources = [name for name in spec if name in known or name.endswith(("Volume", "Disk"))]
    if not sources and not any(
        isinstance(v, dict) and k not in ("capacity", "claimRef", "nodeAffinity") for k, v in spec.items()
    ):
        errors.append(FieldError.required("spec", "must specify a volume type"))
    errors += one_of(spec.get("volumeMode"), ("Block", "Filesystem"), "spec.volumeMode")
    for source in ("hostPath", "local"):
        if ".." in str((spec.get(source) or {}).get("path", "")).split("/"):
            path = f"spec.{source}.path"
            errors.append(FieldError.invalid(path, spec[source]["path"], "must not contain '..'"))
    return errors


def volume_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A volume's source never changes."""
    errors = volume_create(obj)
    mutable = {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
    new_source = {k: v for k, v in (obj.get("spec") or {}).items() if k not in mutable}
    old_source = {k: v for k, v in (old.get("spec") or {}).items() if k not in mutable}
    if new_source != old_source:
        text = "spec.persistentvolumesource is immutable after creation"
        errors.append(FieldError.forbidden("spec.persistentvolumesource", text))
    errors += immutable(
        (obj.get("spec") or {}).get("volumeMode"), (old.get("spec") or {}).get("volumeMode"), "spec.volumeMode"
    )
    return errors


_POD_SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
)
_BEST_EFFORT = ("pods", "count/pods")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def quota(obj: dict[str, Any]) -> list[FieldError]:
    """Hard limits are non-negative quantities; scopes exist, do not exclude each other and fit what is counted."""
    errors: list[FieldError] = []
    spec = obj.get("spec") or {}
    hard = spec.get("hard") or {}
    for name, value in hard.items():
        at = f"spec.hard[{name}]"
        errors += [FieldError.invalid(at, name, m) for m in is_qualified_name(name)]
        if amount(value) < 0:
            errors.append(FieldError.invalid(at, str(value), "must be greater than or equal to 0"))
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _POD_SCOPES:
            errors.append(FieldError.invalid("spec.scopes", scopes, "unsupported scope"))
        elif any(not _counted_in(scope, name) for name in hard):
            errors.append(FieldError.invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    for pair in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if set(pair) <= set(scopes):
            errors.append(FieldError.invalid("spec.scopes", scopes, "conflicting scopes"))
    return errors


def _counted_in(scope: str, name: str) -> bool:
    """Whether a resource is about pods of that scope."""
    if scope == "BestEffort":
        return name in _BEST_EFFORT
    plain = name.removeprefix("requests.").removeprefix("limits.")
    return name in _BEST_EFFORT or plain in _COMPUTE or plain.startswith("hugepages-")


def limit_range(obj: dict[str, Any]) -> list[FieldError]:
    """min <= defaultRequest <= default <= max."""
    errors: list[FieldError] = []
    order = ("min", "defaultRequest", "default", "max")
    words = {"min": "min", "defaultRequest": "default request", "default": "default", "max": "max"}
    for i, limit in enumerate((obj.get("spec") or {}).get("limits") or ()):
        names = {n for field in order for n in limit.get(field) or {}}
        for name in sorted(names):
            for low, high in (
                ("min", "max"),
                ("min", "defaultRequest"),
                ("defaultRequest", "max"),
                ("default", "max"),
                ("defaultRequest", "default"),
                ("min", "default"),
            ):
                a, b = (limit.get(low) or {}).get(name), (limit.get(high) or {}).get(name)
                if a is not None and b is not None and amount(a) > amount(b):
                    shown = a if high in ("max", "default") else b
                    text = f"{words[low]} value {a} is greater than {words[high]} value {b}"
                    errors.append(FieldError.invalid(f"spec.limits[{i}].{low}[{name}]", shown, text))
    return errors
