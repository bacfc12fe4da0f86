"""Validation of the schemas in a CustomResourceDefinition: that they are structural and use what is allowed.

Source: the documentation of structural schemas; messages from recordings of a kube-apiserver.
"""

import re
from dataclasses import dataclass
from typing import Any

from kobune.embedded.apiserver.cel.cost import (
    EXPRESSION_LIMIT,
    TOTAL_LIMIT,
    cardinality_below,
    excess,
    worst_cardinality,
)
from kobune.embedded.apiserver.cel.verdicts import RuleQuestion, ask
from kobune.embedded.apiserver.crd.structural_rules import structural_problems
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.patterns import PatternError, compile_pattern
from kobune.embedded.apiserver.schema.structural_validation import compile_validation

__all__ = ["validate_schema"]

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_FORBIDDEN = {
    "$ref": "$ref is not supported",
    "definitions": "definitions is not supported",
    "dependencies": "dependencies is not supported",
    "deprecated": "deprecated is not supported",
    "discriminator": "discriminator is not supported",
    "id": "id is not supported",
    "patternProperties": "patternProperties is not supported",
    "readOnly": "readOnly is not supported",
    "writeOnly": "writeOnly is not supported",
    "xml": "xml is not supported",
}
_REASONS = ("FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate")


def validate_schema(schema: dict[str, Any], path: str) -> list[FieldError]:
    """All errors of an openAPIV3Schema at `path`."""
    errors: list[FieldError] = []
    if schema.get("type") != "object":
        kind = schema.get("type", "")
        if kind:
            errors.append(FieldError.invalid(f"{path}.type", kind, "must be object at the root"))
            return errors
        errors.append(FieldError.required(f"{path}.type", "must not be empty at the root"))
    costs: list[tuple[int, str]] = []
    _node(schema, path, _Seen(errors, costs), root=True)
    total = sum(cost for cost, _ in costs)
    if total > TOTAL_LIMIT and not errors:
        text = (
            "contributed to estimated rule & messageExpression cost total exceeding cost limit for entire OpenAPIv3 "
            "schema"
        )
        for _, at in sorted(costs, reverse=True)[:_SHOWN_COSTS]:
            errors.append(FieldError.forbidden(at, text))
        what = "x-kubernetes-validations estimated rule & messageExpression cost total for entire OpenAPIv3 schema"
        errors.append(FieldError.forbidden(path, excess(what, total, TOTAL_LIMIT)))
    return errors


_SHOWN_COSTS = 4


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a walk has found: errors, and the cost of each rule with its path."""

    errors: list[FieldError]
    costs: list[tuple[int, str]]


def _node(schema: dict[str, Any], path: str, seen: _Seen, *, root: bool = False, cardinality: int | None = 1) -> None:
    errors = seen.errors
    for keyword, text in _FORBIDDEN.items():
        if schema.get(keyword):
            errors.append(FieldError.forbidden(f"{path}.{keyword}", text))
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(FieldError.forbidden(f"{path}.uniqueItems", detail))
    _type(schema, path, errors, root)
    _pattern(schema, path, errors)
    _list_type(schema, path, errors)
    errors += structural_problems(schema, path)
    _default(schema, path, errors)
    _rules(schema, path, seen, root, cardinality)
    _children(schema, path, seen, root, cardinality)


def _type(schema: dict[str, Any], path: str, errors: list[FieldError], root: bool) -> None:
    kind = schema.get("type")
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if kind is None or kind == "":
        if not free and not root:
            where = "for specified object fields"
            if path.endswith(".items"):
                where = "for specified array items"
            errors.append(FieldError.required(f"{path}.type", f"must not be empty {where}"))
    elif kind not in _TYPES:
        errors.append(FieldError.not_supported(f"{path}.type", kind, _TYPES))
    elif kind == "array" and not isinstance(schema.get("items"), dict):
        if isinstance(schema.get("items"), list):
            errors.append(FieldError.forbidden(f"{path}.items", "items must be a schema object and not an array"))
        else:
            errors.append(FieldError.required(f"{path}.items", "must be specified"))
    if schema.get("x-kubernetes-int-or-string") and kind:
        errors.append(FieldError.invalid(f"{path}.type", kind, "must be empty if x-kubernetes-int-or-string is true"))
    if schema.get("additionalProperties") is not None and schema.get("properties"):
        detail = "additionalProperties and properties are mutual exclusive"
        errors.append(FieldError.forbidden(f"{path}.additionalProperties", detail))
    if root and schema.get("additionalProperties") is not None:
        errors.append(FieldError.forbidden(f"{path}.additionalProperties", "must not be used at the root"))


def _pattern(schema: dict[str, Any], path: str, errors: list[FieldError]) -> None:
    pattern = schema.get("pattern")
    if not pattern:
        return
    try:
        compile_pattern(pattern)
    except PatternError as error:
        detail = f"must be a valid regular expression, but isn't: {error}"
        errors.append(FieldError.invalid(f"{path}.pattern", pattern, detail))


def _list_type(schema: dict[str, Any], path: str, errors: list[FieldError]) -> None:
    list_type = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys")
    at = f"{path}.x-kubernetes-list-type"
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        errors.append(FieldError.not_supported(at, list_type, ("atomic", "set", "map")))
    if list_type is not None and schema.get("type") != "array":
        errors.append(
            FieldError.invalid(
                f"{path}.type", schema.get("type", ""), "must be array if x-kubernetes-list-type is specified"
            )
        )
    keys_at = f"{path}.x-kubernetes-list-map-keys"
    if list_type == "map":
        if not keys:
            errors.append(FieldError.required(keys_at, "must not be empty if x-kubernetes-list-type is map"))
            return
        items = schema.get("items") or {}
        properties = items.get("properties") or {}
        for i, key in enumerate(keys):
            if key not in properties:
                detail = "entries must all be names of item properties"
                errors.append(FieldError.invalid(f"{keys_at}[{i}]", key, detail))
            elif key not in (items.get("required") or ()) and "default" not in properties[key]:
                detail = (
                    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required "
                    "property"
                )
                errors.append(FieldError.required(f"{path}.items.properties[{key}].default", detail))
    elif keys:
        errors.append(FieldError.forbidden(keys_at, "must be empty if x-kubernetes-list-type is not map"))


def _default(schema: dict[str, Any], path: str, errors: list[FieldError]) -> None:
    if "default" not in schema:
        return
    found: list[FieldError] = []
    try:
        check = compile_validation(schema)
    except re.error:
        return
    check(schema["default"], "", found, object())
    for error in found:
        at = f"{path}.default"
        if error.field not in ("", "<nil>"):
            at += f".{error.field}"
        errors.append(FieldError(error.reason, at, error.message))


def _rules(schema: dict[str, Any], path: str, seen: _Seen, root: bool, cardinality: int | None) -> None:
    errors = seen.errors
    for i, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        at = f"{path}.x-kubernetes-validations[{i}]"
        text = rule.get("rule", "")
        if not text.strip():
            errors.append(FieldError.required(f"{at}.rule", "rule is not specified"))
            continue
        message = rule.get("message")
        if message is not None and not message.strip():
            errors.append(FieldError.invalid(f"{at}.message", message, "message must be non-empty if specified"))
        elif message and "\n" in message:
            errors.append(FieldError.invalid(f"{at}.message", message, "message must not contain line breaks"))
        elif not message and "\n" in text.strip() and not rule.get("messageExpression"):
            detail = "message must be specified if rule contains line breaks"
            errors.append(FieldError.required(f"{at}.message", detail))
        reason = rule.get("reason")
        if reason and reason not in _REASONS:
            errors.append(FieldError.not_supported(f"{at}.reason", reason, _REASONS))
        _compile(schema, rule, at, seen, root, cardinality)


def _compile(
    schema: dict[str, Any], rule: dict[str, Any], at: str, seen: _Seen, root: bool, cardinality: int | None
) -> None:
    errors, optional = seen.errors, bool(rule.get("optionalOldSelf"))
    times = worst_cardinality(schema) if cardinality is None else cardinality
    verdict = ask(RuleQuestion(rule["rule"], schema, root, optional))
    if verdict.error:
        detail = f"compilation failed: {verdict.error}"
        errors.append(FieldError.invalid(f"{at}.rule", rule, detail))
        return
    if verdict.result not in ("BOOL", "DYN"):
        detail = "compilation failed: must evaluate to a bool"
        errors.append(FieldError.invalid(f"{at}.rule", rule, detail))
    _afford(times * verdict.cost, "estimated rule cost", f"{at}.rule", seen)
    expression = rule.get("messageExpression")
    if expression:
        verdict = ask(RuleQuestion(expression, schema, root, optional))
        if verdict.error:
            detail = f"messageExpression compilation failed: {verdict.error}"
            errors.append(FieldError.invalid(f"{at}.messageExpression", rule, detail))
            return
        if verdict.result not in ("STRING", "DYN"):
            detail = "messageExpression compilation failed: must evaluate to a string"
            errors.append(FieldError.invalid(f"{at}.messageExpression", rule, detail))
        _afford(times * verdict.cost, "estimated messageExpression cost", f"{at}.messageExpression", seen)


def _afford(cost: int, what: str, at: str, seen: _Seen) -> None:
    seen.costs.append((cost, at))
    if cost > EXPRESSION_LIMIT:
        seen.errors.append(FieldError.forbidden(at, excess(what, cost, EXPRESSION_LIMIT)))


def _children(schema: dict[str, Any], path: str, seen: _Seen, root: bool, cardinality: int | None) -> None:
    for name, sub in (schema.get("properties") or {}).items():
        at = f"{path}.properties[{name}]"
        if root and name == "metadata":
            allowed = {"name", "generateName"}
            if set(sub.get("properties") or ()) - allowed or sub.get("additionalProperties"):
                detail = (
                    "must not specify anything other than name and generateName, but metadata is implicitly specified"
                )
                seen.errors.append(FieldError.forbidden(at, detail))
            continue
        if isinstance(sub, dict):
            _node(sub, at, seen, cardinality=cardinality)
    if isinstance(schema.get("items"), dict):
        _node(schema["items"], f"{path}.items", seen, cardinality=cardinality_below(schema, cardinality))
    if isinstance(schema.get("additionalProperties"), dict):
        _node(
            schema["additionalProperties"],
            f"{path}.additionalProperties",
            seen,
            cardinality=cardinality_below(schema, cardinality),
        )
