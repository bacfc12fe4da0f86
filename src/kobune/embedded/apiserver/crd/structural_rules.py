"""What makes a schema structural, beyond its types: extensions that fit, and nothing but checks inside of junctors.

Source: the Kubernetes documentation of structural schemas. Pure.
"""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError

__all__ = ["structural_problems"]

_EMPTY = ("type", "title", "description")
_FALSE = ("nullable", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")


def structural_problems(schema: dict[str, Any], path: str) -> list[FieldError]:
    """Of one node, its children not included."""
    errors: list[FieldError] = []
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        at = f"{path}.x-kubernetes-preserve-unknown-fields"
        errors.append(FieldError.invalid(at, False, "must be true or undefined"))
    if (
        schema.get("x-kubernetes-embedded-resource")
        and not schema.get("x-kubernetes-preserve-unknown-fields")
        and not schema.get("properties")
    ):
        text = "must not be empty if x-kubernetes-embedded-resource is true without"
        text += " x-kubernetes-preserve-unknown-fields"
        errors.append(FieldError.required(f"{path}.properties", text))
    kind = schema.get("x-kubernetes-map-type")
    if kind is not None and kind not in ("granular", "atomic"):
        errors.append(FieldError.not_supported(f"{path}.x-kubernetes-map-type", kind, ("granular", "atomic")))
    number = bool(schema.get("x-kubernetes-int-or-string"))
    for junctor in ("allOf", "anyOf", "oneOf"):
        for i, inner in enumerate(schema.get(junctor) or ()):
            errors += _checks_only(inner, f"{path}.{junctor}[{i}]", number)
    if isinstance(schema.get("not"), dict):
        errors += _checks_only(schema["not"], f"{path}.not", False)
    return errors


def _checks_only(schema: Any, path: str, number: bool) -> list[FieldError]:
    if not isinstance(schema, dict):
        return []
    errors: list[FieldError] = []
    for field in _EMPTY:
        # Numbers that may be text say so by a choice of types.
        allowed = field == "type" and number and schema.get(field) in ("integer", "string")
        if schema.get(field) and not allowed:
            errors.append(FieldError.forbidden(f"{path}.{field}", "must be empty to be structural"))
    for field in _FALSE:
        if schema.get(field):
            errors.append(FieldError.forbidden(f"{path}.{field}", "must be false to be structural"))
    for field in ("default", "additionalProperties"):
        if schema.get(field) is not None:
            errors.append(FieldError.forbidden(f"{path}.{field}", "must be undefined to be structural"))
    for junctor in ("allOf", "anyOf", "oneOf"):
        for i, inner in enumerate(schema.get(junctor) or ()):
            errors += _checks_only(inner, f"{path}.{junctor}[{i}]", number)
    for name, inner in (schema.get("properties") or {}).items():
        errors += _checks_only(inner, f"{path}.properties[{name}]", False)
    for field in ("items", "not"):
        errors += _checks_only(schema.get(field), f"{path}.{field}", False)
    return errors
