"""Validation of CustomResourceDefinitions: names, versions, conversion, columns, subresources.

Owns: everything but the schemas themselves (see `schemas`). Paths follow the real server, which reports what all
versions share at the top (spec.validation, spec.subresources, spec.additionalPrinterColumns).
"""

import re
from typing import Any
from urllib.parse import urlsplit

from kobune.embedded.apiserver.crd.schemas import validate_schema
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1035_label, is_dns1123_subdomain

__all__ = ["default_crd", "prepare_crd", "validate_crd"]

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_APPROVED = "api-approved.kubernetes.io"
_JSON_PATH = re.compile(r"^(\.[A-Za-z_][A-Za-z0-9_\-/]*|\['[^']*'\]|\.?\[[^\]]*\])+$")


def default_crd(crd: dict[str, Any]) -> None:
    """Fill in singular, listKind and the conversion strategy, in place."""
    spec = crd.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if names.get("kind"):
        if not names.get("singular"):
            names["singular"] = names["kind"].lower()
        if not names.get("listKind"):
            names["listKind"] = names["kind"] + "List"
    conversion = spec.setdefault("conversion", {})
    conversion.setdefault("strategy", "None")
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if isinstance(service, dict):
        service.setdefault("port", 443)


def prepare_crd(crd: dict[str, Any], old: dict[str, Any] | None) -> None:
    """Keep status.storedVersions complete: every version that was ever the storage version is in it."""
    spec = crd.get("spec") or {}
    storage = [v.get("name") for v in spec.get("versions") or () if v.get("storage")]
    status = crd.setdefault("status", {})
    known = list((old.get("status") or {}).get("storedVersions") or ()) if old is not None else []
    status["storedVersions"] = known + [v for v in storage[:1] if v not in known]
    status.setdefault("conditions", [])
    status.setdefault("acceptedNames", {"kind": "", "plural": ""})


def validate_crd(crd: dict[str, Any], old: dict[str, Any] | None = None) -> list[FieldError]:
    """All errors of a definition (apart from its metadata's). `old` on update."""
    spec = crd["spec"]
    names = spec.get("names") or {}
    errors: list[FieldError] = []
    name = crd["metadata"].get("name", "")
    if old is None and name != f"{names.get('plural', '')}.{spec.get('group', '')}":
        errors.append(FieldError.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    errors += _group(spec)
    if old is None:
        errors += _approval(spec.get("group", ""), crd["metadata"].get("annotations") or {})
    scope = spec.get("scope") or ""
    if not scope:
        errors.append(FieldError.required("spec.scope"))
    elif scope not in ("Cluster", "Namespaced"):
        errors.append(FieldError.not_supported("spec.scope", scope, ("Cluster", "Namespaced")))
    errors += _names(names)
    versions = spec.get("versions") or []
    errors += _versions(versions)
    errors += _conversion(spec.get("conversion") or {})
    if spec.get("preserveUnknownFields"):
        detail = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        )
        errors.append(FieldError.invalid("spec.preserveUnknownFields", True, detail))
    for path, version in _parts(versions, "schema", "spec.validation"):
        errors += _schema(path, version)
    for path, version in _parts(versions, "subresources", "spec.subresources"):
        errors += _scale(path, version.get("subresources") or {})
    for path, version in _parts(versions, "additionalPrinterColumns", "spec.additionalPrinterColumns"):
        errors += _columns(path, version.get("additionalPrinterColumns") or [])
    for path, version in _parts(versions, "selectableFields", "spec.selectableFields"):
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        errors += _selectable(path, version.get("selectableFields") or [], schema)
    errors += _stored(crd, versions)
    if old is not None:
        errors += _immutable(spec, old)
    return errors


def _group(spec: dict[str, Any]) -> list[FieldError]:
    group = spec.get("group", "")
    if not group:
        return [FieldError.required("spec.group")]
    wrong = is_dns1123_subdomain(group)
    if wrong:
        return [FieldError.invalid("spec.group", group, ",".join(wrong))]
    if "." not in group:
        return [FieldError.invalid("spec.group", group, "should be a domain with at least one dot")]
    return []


def _approval(group: str, annotations: dict[str, str]) -> list[FieldError]:
    """Groups of the Kubernetes community need somebody's word for it."""
    if not any(group == owner or group.endswith(f".{owner}") for owner in ("k8s.io", "kubernetes.io")):
        return []
    given = annotations.get(_APPROVED, "")
    parts = urlsplit(given)
    if given.startswith("unapproved") or (parts.scheme and parts.netloc):
        return []
    at, see = f"metadata.annotations[{_APPROVED}]", "see https://github.com/kubernetes/enhancements/pull/1111"
    told = f'protected groups must have approval annotation "{_APPROVED}"'
    if not given:
        return [FieldError.required(at, f"{told}, {see}")]
    detail = f'{told} with either a URL or a reason starting with "unapproved", {see}'
    return [FieldError.invalid(at, given, detail)]


def _names(names: dict[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("plural", "singular"):
        value = names.get(field)
        if not value:
            errors.append(FieldError.required(f"spec.names.{field}"))
            continue
        wrong = is_dns1035_label(value)
        if wrong:
            errors.append(FieldError.invalid(f"spec.names.{field}", value, ",".join(wrong)))
    for field in ("kind", "listKind"):
        value = names.get(field)
        if not value:
            errors.append(FieldError.required(f"spec.names.{field}"))
            continue
        wrong = is_dns1035_label(value.lower())
        if wrong:
            detail = "may have mixed case, but should otherwise match: " + ",".join(wrong)
            errors.append(FieldError.invalid(f"spec.names.{field}", value, detail))
    for field in ("shortNames", "categories"):
        for i, value in enumerate(names.get(field) or ()):
            wrong = is_dns1035_label(value)
            if wrong:
                errors.append(FieldError.invalid(f"spec.names.{field}[{i}]", value, ",".join(wrong)))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        detail = "kind and listKind may not be the same"
        errors.append(FieldError.invalid("spec.names.listKind", names["listKind"], detail))
    return errors


def _versions(versions: list[dict[str, Any]]) -> list[FieldError]:
    errors: list[FieldError] = []
    if not versions:
        errors.append(FieldError.required("spec.versions", "must have at least one version"))
    seen = [v.get("name", "") for v in versions]
    for i, version in enumerate(versions):
        wrong = is_dns1035_label(version.get("name", ""))
        if wrong:
            detail = ",".join(wrong)
            errors.append(FieldError.invalid(f"spec.versions[{i}].name", version.get("name", ""), detail))
            if i == 0:
                errors.append(FieldError.invalid("spec.version", version.get("name", ""), detail))
        if version.get("deprecationWarning") and not version.get("deprecated"):
            path = f"spec.versions[{i}].deprecationWarning"
            detail = "can only be set for deprecated versions"
            errors.append(FieldError.invalid(path, version["deprecationWarning"], detail))
    if len(set(seen)) != len(seen):
        errors.append(FieldError.invalid("spec.versions", versions, "must contain unique version names"))
    if versions and sum(bool(v.get("storage")) for v in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        errors.append(FieldError.invalid("spec.versions", versions, detail))
    return errors


def _conversion(conversion: dict[str, Any]) -> list[FieldError]:
    strategy = conversion.get("strategy")
    if strategy not in ("None", "Webhook"):
        return [FieldError.not_supported("spec.conversion.strategy", strategy or "", ("None", "Webhook"))]
    errors: list[FieldError] = []
    webhook = conversion.get("webhook") or {}
    client = webhook.get("clientConfig")
    path = "spec.conversion.webhookClientConfig"
    if strategy == "None":
        if webhook:
            detail = "should not be set when strategy is not set to Webhook"
            errors.append(FieldError.forbidden(path, detail))
        return errors
    if not client:
        errors.append(FieldError.required(path, "required when strategy is set to Webhook"))
    elif bool(client.get("url")) == bool(client.get("service")):
        errors.append(FieldError.required(path, "exactly one of url or service is required"))
    reviews = webhook.get("conversionReviewVersions") or []
    if not reviews:
        errors.append(FieldError.required("spec.conversion.conversionReviewVersions"))
    elif not {"v1", "v1beta1"} & set(reviews):
        path = "spec.conversion.conversionReviewVersions"
        errors.append(FieldError.invalid(path, reviews, "must include at least one of v1, v1beta1"))
    return errors


def _parts(versions: list[dict[str, Any]], field: str, top: str) -> list[tuple[str, dict[str, Any]]]:
    """Where a per-version part is reported: at the top when all versions agree, else at each version."""
    values = [v.get(field) for v in versions]
    if versions and all(v == values[0] for v in values):
        return [(top, versions[0])]
    return [(f"spec.versions[{i}].{field}", v) for i, v in enumerate(versions)]


def _schema(path: str, version: dict[str, Any]) -> list[FieldError]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        if path == "spec.validation":
            path = "spec.versions[0].schema"
        return [FieldError.required(f"{path}.openAPIV3Schema")]
    return validate_schema(schema, f"{path}.openAPIV3Schema")


def _scale(path: str, subresources: dict[str, Any]) -> list[FieldError]:
    scale = subresources.get("scale")
    if not scale:
        return []
    errors: list[FieldError] = []
    for field, root, optional in (
        ("specReplicasPath", ".spec", False),
        ("statusReplicasPath", ".status", False),
        ("labelSelectorPath", ".status", True),
    ):
        value = scale.get(field)
        at = f"{path}.scale.{field}"
        if not value:
            if not optional:
                errors.append(FieldError.required(at))
        elif not re.match(r"^(\.[A-Za-z_][A-Za-z0-9_\-]*)+$", value):
            errors.append(FieldError.invalid(at, value, "must be a simple json path starting with ."))
        elif not value.startswith(root + "."):
            wanted = (
                f"should be a json path under {root}"
                if not optional
                else ("should be a json path under either .spec or .status")
            )
            if optional and value.startswith(".spec."):
                continue
            errors.append(FieldError.invalid(at, value, wanted))
    return errors


def _columns(path: str, columns: list[dict[str, Any]]) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, column in enumerate(columns):
        at = f"{path}[{i}]"
        if not column.get("name"):
            errors.append(FieldError.required(f"{at}.name"))
        kind = column.get("type")
        if not kind:
            listed = ",".join(_COLUMN_TYPES)
            errors.append(FieldError.required(f"{at}.type", f"must be one of {listed}"))
        elif kind not in _COLUMN_TYPES:
            listed = ",".join(_COLUMN_TYPES)
            errors.append(FieldError.invalid(f"{at}.type", kind, f"must be one of {listed}"))
        form = column.get("format")
        if form and form not in _COLUMN_FORMATS:
            listed = ",".join(_COLUMN_FORMATS)
            errors.append(FieldError.invalid(f"{at}.format", form, f"must be one of {listed}"))
        json_path = column.get("jsonPath")
        if not json_path:
            errors.append(FieldError.required(f"{at}.JSONPath"))
    return errors


def _selectable(path: str, fields: list[dict[str, Any]], schema: dict[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, field in enumerate(fields):
        json_path = field.get("jsonPath", "")
        at = f"{path}[{i}].jsonPath"
        if not json_path:
            errors.append(FieldError.required(at))
        elif not _JSON_PATH.match(json_path):
            errors.append(FieldError.invalid(at, json_path, "is an invalid path: must be a simple path"))
        elif json_path in seen:
            errors.append(FieldError.duplicate(at, json_path))
        elif wrong := _unselectable(json_path, schema):
            errors.append(FieldError.invalid(at, json_path, wrong))
        seen.add(json_path)
    return errors


def _unselectable(json_path: str, schema: dict[str, Any]) -> str:
    """Why a field can't be selected by; empty when it can."""
    names = json_path.lstrip(".").split(".")
    if names[0] == "metadata":
        return "must not point to fields in metadata"
    found: Any = schema
    for name in names:
        found = (found.get("properties") or {}).get(name) if isinstance(found, dict) else None
    if found is None:
        return "is an invalid path: does not refer to a valid field"
    if found.get("type") not in ("string", "boolean", "integer"):
        text = "must point to a field of type string, boolean or integer."
        return f"{text} Enum string fields and strings with formats are allowed."
    return ""


def _stored(crd: dict[str, Any], versions: list[dict[str, Any]]) -> list[FieldError]:
    stored = (crd.get("status") or {}).get("storedVersions")
    path = "status.storedVersions"
    if not stored:
        return [
            FieldError.invalid(
                path, None if stored is None else stored or None, "must have at least one stored version"
            )
        ]
    errors: list[FieldError] = []
    names = [v.get("name") for v in versions]
    for i, name in enumerate(stored):
        if name not in names:
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            errors.append(FieldError.invalid(f"{path}[{i}]", name, detail))
    for version in versions:
        if version.get("storage") and version.get("name") not in stored and not errors:
            errors.append(FieldError.invalid(path, stored, f"must have the storage version {version.get('name')}"))
    return errors


def _immutable(spec: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    errors = []
    before = old["spec"]
    for field, was, now in (
        ("spec.group", before.get("group"), spec.get("group")),
        ("spec.scope", before.get("scope"), spec.get("scope")),
        ("spec.names.plural", before["names"].get("plural"), (spec.get("names") or {}).get("plural")),
        ("spec.names.kind", before["names"].get("kind"), (spec.get("names") or {}).get("kind")),
    ):
        established = any(
            c["type"] == "Established" and c["status"] == "True"
            for c in (old.get("status") or {}).get("conditions") or ()
        )
        if was != now and (established or field == "spec.group"):
            errors.append(FieldError.invalid(field, now, "field is immutable"))
    return errors
