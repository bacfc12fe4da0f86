"""Rules of ObjectMeta, for every kind.

Owns: names, labels, annotations, owner references, finalizers; what an update may not change.
Source: apimachinery's metadata validation, by its messages.
"""

from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError, quote
from kobune.embedded.apiserver.schema.names import is_dns1123_subdomain, is_label_value, is_qualified_name

__all__ = ["NameRule", "labels", "metadata_create", "metadata_update", "selector"]

NameRule = Callable[[str], list[str]]

_ANNOTATIONS_LIMIT = 256 * 1024
_STANDARD_FINALIZERS = frozenset(("orphan", "foregroundDeletion", "kubernetes"))
_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def metadata_create(
    meta: dict[str, Any], *, namespaced: bool, name_rule: NameRule = is_dns1123_subdomain, path: str = "metadata"
) -> list[FieldError]:
    """All errors of an object's metadata on its own."""
    errors: list[FieldError] = []
    prefix = meta.get("generateName")
    if prefix:
        # A generated name ends in letters and digits, so a prefix may end in a dash.
        wrong = name_rule(prefix.rstrip("-") + "a" if prefix.endswith("-") else prefix)
        errors += [FieldError.invalid(f"{path}.generateName", prefix, m) for m in wrong]
    name = meta.get("name")
    if not name:
        errors.append(FieldError.required(f"{path}.name", "name or generateName is required"))
    else:
        errors += [FieldError.invalid(f"{path}.name", name, m) for m in name_rule(name)]
    if namespaced and not meta.get("namespace"):
        errors.append(FieldError.required(f"{path}.namespace"))
    elif not namespaced and meta.get("namespace"):
        errors.append(FieldError.forbidden(f"{path}.namespace", "not allowed on this type"))
    errors += _common(meta, path)
    for i, finalizer in enumerate(meta.get("finalizers") or ()):
        errors += _finalizer(finalizer, f"{path}.finalizers[{i}]")
    return errors


def _common(meta: dict[str, Any], path: str) -> list[FieldError]:
    return [
        *labels(meta.get("labels") or {}, f"{path}.labels"),
        *_annotations(meta.get("annotations") or {}, f"{path}.annotations"),
        *_owners(meta.get("ownerReferences") or [], f"{path}.ownerReferences"),
    ]


def metadata_update(meta: dict[str, Any], old: dict[str, Any], path: str = "metadata") -> list[FieldError]:
    """What an update may not do to metadata."""
    errors: list[FieldError] = []
    if old.get("deletionTimestamp"):
        added = sorted(set(meta.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if added:
            listed = "[]string{" + ", ".join(quote(f) for f in added) + "}"
            detail = f"no new finalizers can be added if the object is being deleted, found new finalizers {listed}"
            errors.append(FieldError.forbidden(f"{path}.finalizers", detail))
    for field in _IMMUTABLE:
        if meta.get(field) != old.get(field):
            errors.append(FieldError.invalid(f"{path}.{field}", meta.get(field), "field is immutable"))
    return errors + _common(meta, path)


def labels(given: dict[str, str], path: str) -> list[FieldError]:
    """Keys and values of labels."""
    errors: list[FieldError] = []
    for key, value in given.items():
        errors += [FieldError.invalid(path, key, m) for m in is_qualified_name(key)]
        errors += [FieldError.invalid(path, value, m) for m in is_label_value(value)]
    return errors


def _annotations(given: dict[str, str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    size = 0
    for key, value in given.items():
        errors += [FieldError.invalid(path, key, m) for m in is_qualified_name(key.lower())]
        size += len(key) + len(value)
    if size > _ANNOTATIONS_LIMIT:
        errors.append(FieldError.too_long(path, _ANNOTATIONS_LIMIT))
    return errors


def _owners(owners: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    controller: dict[str, Any] | None = None
    for owner in owners:
        version = str(owner.get("apiVersion", "")).rpartition("/")[2]
        if not version:
            errors.append(
                FieldError.invalid(f"{path}.apiVersion", owner.get("apiVersion", ""), "version must not be empty")
            )
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                errors.append(FieldError.invalid(f"{path}.{field}", "", "must not be empty"))
        if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
            errors.append(FieldError.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            if controller is not None:
                detail = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller['kind']}/{controller['name']} and {owner['kind']}/{owner['name']}"
                )
                errors.append(FieldError.invalid(path, owners, detail))
            controller = owner
    return errors


def _finalizer(finalizer: str, path: str) -> list[FieldError]:
    wrong = is_qualified_name(finalizer)
    if wrong:
        return [FieldError.invalid(path, finalizer, m) for m in wrong]
    if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        detail = "name is neither a standard finalizer name nor is it fully qualified"
        return [FieldError.invalid(path, finalizer, detail)]
    return []


def selector(given: dict[str, Any], path: str) -> list[FieldError]:
    """A label selector."""
    errors = labels(given.get("matchLabels") or {}, f"{path}.matchLabels")
    for i, expression in enumerate(given.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{i}]"
        operator, values = expression.get("operator", ""), expression.get("values") or []
        if operator in ("In", "NotIn"):
            if not values:
                detail = "must be specified when `operator` is 'In' or 'NotIn'"
                errors.append(FieldError.required(f"{at}.values", detail))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(FieldError.forbidden(f"{at}.values", detail))
        else:
            errors.append(FieldError.invalid(f"{at}.operator", operator, "not a valid selector operator"))
        key = expression.get("key", "")
        errors += [FieldError.invalid(f"{at}.key", key, m) for m in is_qualified_name(key)]
    return errors
