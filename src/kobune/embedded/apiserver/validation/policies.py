"""ValidatingAdmissionPolicies, their bindings and match conditions: shape and expressions.

Owns: Kubernetes' rules for them, checked in the order and words of the real server.
"""

import re
from typing import Any

from kobune.embedded.apiserver.cel.policy_scope import Scope
from kobune.embedded.apiserver.cel.verdicts import PolicyQuestion, ask
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import (
    is_dns1035_label,
    is_dns1123_subdomain,
    is_qualified_name,
    path_segment,
)
from kobune.embedded.apiserver.validation.checks import one_of
from kobune.embedded.apiserver.validation.hook_rules import rule
from kobune.embedded.apiserver.validation.metadata import selector

__all__ = ["conditions", "policy", "policy_binding"]

_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_RESERVED = frozenset(
    """true false null in as break const continue else for function if import let loop package namespace return var void
    while""".split()  # noqa: SIM905 - a sentence of words
)
_MAX_ANNOTATIONS, _MAX_ANNOTATION_EXPRESSION = 20, 5 * 1024
_BOOL, _STRING, _TEXT_OR_NULL = ("bool",), ("string",), ("string", "null_type")
_CEL_NAMES = {"BOOL": "bool", "STRING": "string", "NULL": "null_type"}


def conditions(given: list[dict[str, Any]], path: str, *, params: bool = False) -> list[FieldError]:
    """Match conditions: named, unique, boolean expressions."""
    errors: list[FieldError] = []
    names: set[str] = set()
    if len(given) > 64:
        errors.append(FieldError.too_many(path, len(given), 64))
    for i, condition in enumerate(given):
        at = f"{path}[{i}]"
        name, text = condition.get("name", ""), condition.get("expression", "").strip()
        if not text:
            errors.append(FieldError.required(f"{at}.expression"))
        else:
            scope = Scope(params=params, namespace=True, authorizer=True)
            errors += _expression(text, f"{at}.expression", scope, _BOOL)
        if not name:
            errors.append(FieldError.required(f"{at}.name"))
        else:
            errors += [FieldError.invalid(f"{at}.name", name, m) for m in is_qualified_name(name)]
            if name in names:
                errors.append(FieldError.duplicate(f"{at}.name", name))
            names.add(name)
    return errors


def _expression(
    text: str, path: str, scope: Scope, wanted: tuple[str, ...], variables: frozenset[str] = frozenset()
) -> list[FieldError]:
    given = scope.params, scope.namespace, scope.authorizer, scope.variables
    verdict = ask(PolicyQuestion(text, *given, tuple(sorted(variables))))
    if verdict.error:
        return [FieldError.invalid(path, text, f"compilation failed: {verdict.error}")]
    result = verdict.result
    if wanted and result != "DYN" and _CEL_NAMES.get(result) not in wanted:
        kinds = wanted[0] if len(wanted) == 1 else f"one of [{' '.join(wanted)}]"
        return [FieldError.invalid(path, text, f"must evaluate to {kinds}")]
    return []


def policy(obj: dict[str, Any]) -> list[FieldError]:
    """A ValidatingAdmissionPolicy."""
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind")
    errors = one_of(spec.get("failurePolicy"), ("Fail", "Ignore"), "spec.failurePolicy")
    if kind is not None:
        errors += _param_kind(kind, "spec.paramKind")
    match = spec.get("matchConstraints")
    if match is None:
        errors.append(FieldError.required("spec.matchConstraints"))
    else:
        errors += _match(match, "spec.matchConstraints")
        if not match.get("resourceRules"):
            errors.append(FieldError.required("spec.matchConstraints.resourceRules"))
    errors += conditions(spec.get("matchConditions") or [], "spec.matchConditions", params=kind is not None)
    given = spec.get("variables") or []
    scope = Scope(params=kind is not None, namespace=True, authorizer=True, variables=bool(given))
    known: frozenset[str] = frozenset()
    for i, variable in enumerate(given):
        errors += _variable(variable, f"spec.variables[{i}]", scope, known)
        known |= {variable.get("name", "")}
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        text = "validations or auditAnnotations must contain at least one item"
        return [*errors, *(FieldError.required(f"spec.{name}", text) for name in ("validations", "auditAnnotations"))]
    for i, validation in enumerate(validations):
        errors += _validation(validation, f"spec.validations[{i}]", scope, known)
    return errors + _annotations(obj, annotations, scope, known)


def _param_kind(kind: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    api_version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    if not api_version:
        errors.append(FieldError.required(f"{path}.apiVersion"))
    elif api_version.count("/") > 1:
        text = f"unexpected GroupVersion string: {api_version}"
        errors.append(FieldError.invalid(f"{path}.apiVersion", api_version, text))
    else:
        group, _, version = api_version.rpartition("/")
        if group and (wrong := is_dns1123_subdomain(group)):
            errors.append(FieldError.invalid(f"{path}.apiVersion", group, ",".join(wrong)))
        if not version:
            errors.append(FieldError.invalid(f"{path}.apiVersion", api_version, "version must be specified"))
        elif wrong := is_dns1035_label(version):
            errors.append(FieldError.invalid(f"{path}.apiVersion", version, ",".join(wrong)))
    if not name:
        errors.append(FieldError.required(f"{path}.kind"))
    elif wrong := is_dns1035_label(name.lower()):
        text = "may have mixed case, but should otherwise match: " + ",".join(wrong)
        errors.append(FieldError.invalid(f"{path}.kind", name, text))
    return errors


def _match(match: dict[str, Any], path: str) -> list[FieldError]:
    errors = one_of(match.get("matchPolicy"), ("Equivalent", "Exact"), f"{path}.matchPolicy")
    for field in ("namespaceSelector", "objectSelector"):
        errors += selector(match.get(field) or {}, f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for i, given in enumerate(match.get(field) or ()):
            at = f"{path}.{field}[{i}]"
            names = given.get("resourceNames") or []
            for j, name in enumerate(names):
                where = f"{at}.resourceNames[{j}]"
                errors += [FieldError.invalid(where, name, text) for text in path_segment(name)]
                if name in names[:j]:
                    errors.append(FieldError.duplicate(where, name))
            errors += rule(given, at)
    return errors


def _variable(variable: dict[str, Any], path: str, scope: Scope, known: frozenset[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    name, text = variable.get("name", ""), variable.get("expression", "")
    if not name.strip():
        errors.append(FieldError.required(f"{path}.name", "name is not specified"))
    elif not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) or name in _RESERVED:
        errors.append(FieldError.invalid(f"{path}.name", name, "name is not a valid CEL identifier"))
    if not text.strip():
        return [*errors, FieldError.required(f"{path}.expression", "expression is not specified")]
    return errors + _expression(text, f"{path}.expression", scope, (), known)


def _validation(validation: dict[str, Any], path: str, scope: Scope, known: frozenset[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    text, message = validation.get("expression", ""), validation.get("message", "")
    computed = validation.get("messageExpression", "")
    if not text.strip():
        errors.append(FieldError.required(f"{path}.expression", "expression is not specified"))
    else:
        errors += _expression(text, f"{path}.expression", scope, _BOOL, known)
    if computed and not computed.strip():
        where = f"{path}.messageExpression"
        errors.append(FieldError.invalid(where, computed, "must be non-empty if specified"))
    elif computed:
        plain = Scope(scope.params, scope.namespace, authorizer=False, variables=scope.variables)
        errors += _expression(computed, f"{path}.messageExpression", plain, _STRING, known)
    if message and not message.strip():
        errors.append(FieldError.invalid(f"{path}.message", message, "message must be non-empty if specified"))
    elif re.search(r"[\n\r]", message.strip()):
        errors.append(FieldError.invalid(f"{path}.message", message, "message must not contain line breaks"))
    return errors + one_of(validation.get("reason"), _REASONS, f"{path}.reason")


def _annotations(
    obj: dict[str, Any], given: list[dict[str, Any]], scope: Scope, known: frozenset[str]
) -> list[FieldError]:
    errors: list[FieldError] = []
    path = "spec.auditAnnotations"
    if len(given) > _MAX_ANNOTATIONS:
        text = f"must not have more than {_MAX_ANNOTATIONS} auditAnnotations"
        errors.append(FieldError.invalid(path, given, text))
    keys: set[str] = set()
    for i, annotation in enumerate(given):
        at, key = f"{path}[{i}]", annotation.get("key", "")
        name = f"{obj['metadata'].get('name', '')}/{key}"
        errors += [FieldError.invalid(f"{at}.key", name, text) for text in is_qualified_name(name)]
        expression = annotation.get("valueExpression", "").strip()
        where = f"{at}.valueExpression"
        if not expression:
            errors.append(FieldError.required(where, "valueExpression is not specified"))
        elif len(expression) > _MAX_ANNOTATION_EXPRESSION:
            text = f"must not exceed {_MAX_ANNOTATION_EXPRESSION} bytes in length"
            errors.append(FieldError.required(where, text))
        else:
            errors += _expression(expression, where, scope, _TEXT_OR_NULL, known)
        if key in keys:
            errors.append(FieldError.duplicate(f"{at}.key", key))
        keys.add(key)
    return errors


def policy_binding(obj: dict[str, Any]) -> list[FieldError]:
    """A ValidatingAdmissionPolicyBinding."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    name = spec.get("policyName", "")
    if not name:
        errors.append(FieldError.required("spec.policyName"))
    else:
        errors += [FieldError.invalid("spec.policyName", name, text) for text in is_dns1123_subdomain(name)]
    if spec.get("paramRef") is not None:
        errors += _param_ref(spec["paramRef"], "spec.paramRef")
    if spec.get("matchResources") is not None:
        errors += _match(spec["matchResources"], "spec.matchResouces")  # the real server's spelling
    actions = spec.get("validationActions") or []
    at = "spec.validationActions"
    for i, action in enumerate(actions):
        errors += one_of(action, ("Audit", "Deny", "Warn"), f"{at}[{i}]")
        if action in actions[:i]:
            errors.append(FieldError.duplicate(f"{at}[{i}]", action))
    if "Deny" in actions and "Warn" in actions:
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response"
            " and headers serves no purpose)"
        )
        errors.append(FieldError.invalid(at, actions, text))
    if not actions:
        errors.append(FieldError.required(at, "at least one validation action is required"))
    return errors


def _param_ref(reference: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    name, chosen = reference.get("name", ""), reference.get("selector")
    both = "name and selector are mutually exclusive"
    if name:
        errors += [FieldError.invalid(f"{path}.name", name, text) for text in path_segment(name)]
        if chosen is not None:
            errors.append(FieldError.forbidden(f"{path}.name", both))
    if chosen is not None:
        errors += selector(chosen, f"{path}.selector")
        if name:
            errors.append(FieldError.forbidden(f"{path}.selector", both))
    if not name and chosen is None:
        errors.append(FieldError.required(path, "one of name or selector must be specified"))
    action = reference.get("parameterNotFoundAction")
    if not action:
        errors.append(FieldError.required(f"{path}.parameterNotFoundAction"))
    elif action not in ("Deny", "Allow"):
        errors.append(FieldError.not_supported(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow")))
    return errors
