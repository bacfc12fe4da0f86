"""Rules of configuration, quotas and limits."""

import base64
import re
from typing import Any

import msgspec

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import (
    is_qualified_name,
)
from kobune.embedded.apiserver.validation.checks import amount, immutable

__all__ = [
    "config_map_create",
    "config_map_update",
    "limit_range",
    "quota",
    "secret_create",
    "secret_update",
]

_CONFIG_LIMIT = 1048576
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_FROZEN = "field is immutable when `immutable` is set"


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
    if kind in ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"):
        errors += _docker(data, kind)
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            errors.append(FieldError.required(f"data[{key}]"))
    return errors


def _docker(data: dict[str, Any], kind: str) -> list[FieldError]:
    key = "." + kind.rpartition("/")[2]
    text = base64.b64decode(data.get(key) or "")
    if not text:
        return []
    try:
        msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        first = text[:1].decode("latin-1")
        detail = f"invalid character '{first}' looking for beginning of value"
        return [FieldError.invalid(f"data[{key}]", "<secret contents redacted>", detail)]
    return []


def secret_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A Secret's type never changes; an immutable one stays as it is."""
    errors = immutable(obj.get("type"), old.get("type"), "type")
    return errors + _frozen(obj, old, ("data",)) + secret_create(obj)


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


_COUNTED = frozenset(
    """pods services replicationcontrollers resourcequotas secrets configmaps persistentvolumeclaims services.nodeports
    services.loadbalancers""".split()  # noqa: SIM905 - a sentence of words
)
_QUOTA_NAMES = _COUNTED | frozenset(
    """cpu memory ephemeral-storage requests.cpu requests.memory requests.storage requests.ephemeral-storage limits.cpu
    limits.memory limits.ephemeral-storage""".split()  # noqa: SIM905 - a sentence of words
)


def quota(obj: dict[str, Any]) -> list[FieldError]:
    """Hard limits are non-negative quantities; scopes exist, do not exclude each other and fit what is counted."""
    errors: list[FieldError] = []
    spec = obj.get("spec") or {}
    hard = spec.get("hard") or {}
    for name, value in hard.items():
        at = f"spec.hard[{name}]"
        errors += [FieldError.invalid(at, name, m) for m in is_qualified_name(name)]
        if "/" not in name and name not in _QUOTA_NAMES and "hugepages-" not in name:
            errors.append(FieldError.invalid(at, name, "must be a standard resource type or fully qualified"))
            errors.append(FieldError.invalid(at, name, "must be a standard resource for quota"))
        if amount(value) < 0:
            errors.append(FieldError.invalid(at, str(value), "must be greater than or equal to 0"))
        elif amount(value) % 1 and (name in _COUNTED or name.startswith("count/")):
            errors.append(FieldError.invalid(at, str(value), "must be an integer"))
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


_LIMIT_ORDER = (
    # (lower, upper, whose path and value are told, in words)
    ("min", "max", "min", "min"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest"),
    ("min", "default", "default", "min"),
    ("default", "max", "default", "default"),
)
_LIMIT_WORDS = {"min": "min", "defaultRequest": "default request", "default": "default", "max": "max"}
_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")


def limit_range(obj: dict[str, Any]) -> list[FieldError]:
    """Known types, each once; min <= defaultRequest <= default <= max."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, limit in enumerate((obj.get("spec") or {}).get("limits") or ()):
        at, kind = f"spec.limits[{i}]", limit.get("type", "")
        errors += [FieldError.invalid(f"{at}.type", kind, m) for m in is_qualified_name(kind)]
        if "/" not in kind and kind not in _LIMIT_TYPES:
            text = "must be a standard limit type or fully qualified"
            errors.append(FieldError.invalid(f"{at}.type", kind, text))
        if kind in seen:
            errors.append(FieldError.duplicate(f"{at}.type", kind))
        seen.add(kind)
        if kind == "Pod":
            text = "may not be specified when `type` is 'Pod'"
            errors += [FieldError.forbidden(f"{at}.{f}", text) for f in ("default", "defaultRequest") if limit.get(f)]
        elif kind == "PersistentVolumeClaim" and not {"storage"} & {
            *(limit.get("min") or {}),
            *(limit.get("max") or {}),
        }:
            text = "either minimum or maximum storage value is required, but neither was provided"
            errors.append(FieldError.required(f"{at}.limits", text))
        errors += _limit(limit, at)
    return errors


def _limit(limit: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    fields = (*_LIMIT_WORDS, "maxLimitRequestRatio")
    for name in sorted({n for field in fields for n in limit.get(field) or {}}):
        for low, high, where, shown in _LIMIT_ORDER:
            a, b = (limit.get(low) or {}).get(name), (limit.get(high) or {}).get(name)
            if a is not None and b is not None and amount(a) > amount(b):
                upper = "default limit" if (low, high) == ("defaultRequest", "default") else _LIMIT_WORDS[high]
                text = f"{_LIMIT_WORDS[low]} value {a} is greater than {upper} value {b}"
                told = {low: a, high: b}[shown]
                errors.append(FieldError.invalid(f"{path}.{where}[{name}]", told, text))
        ratio = (limit.get("maxLimitRequestRatio") or {}).get(name)
        if ratio is not None and amount(ratio) < 1:
            text = f"ratio {ratio} is less than 1"
            errors.append(FieldError.invalid(f"{path}.maxLimitRequestRatio[{name}]", ratio, text))
    return errors
