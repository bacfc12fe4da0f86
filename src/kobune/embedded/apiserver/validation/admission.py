"""Rules of admissionregistration.k8s.io: webhooks and policies."""

import re
from typing import Any

from kobune.embedded.apiserver.cel import DYN, CelCompileError, CelType, compile_expression
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_subdomain, is_qualified_name
from kobune.embedded.apiserver.validation.checks import one_of
from kobune.embedded.apiserver.validation.metadata import selector

__all__ = ["CONDITION_VARIABLES", "policy", "policy_binding", "webhooks"]

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
CONDITION_VARIABLES: dict[str, CelType] = dict.fromkeys(
    ("object", "oldObject", "request", "authorizer", "namespaceObject", "params", "variables"), DYN
)
"""What match conditions and policies may refer to."""


def webhooks(obj: dict[str, Any]) -> list[FieldError]:
    """The hooks of a Validating- or MutatingWebhookConfiguration."""
    errors: list[FieldError] = []
    names: set[str] = set()
    for i, hook in enumerate(obj.get("webhooks") or ()):
        at = f"webhooks[{i}]"
        errors += _hook(hook, at)
        name = hook.get("name", "")
        if name in names:
            errors.append(FieldError.duplicate(f"{at}.name", name))
        names.add(name)
    return errors


def _hook(hook: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    name = hook.get("name", "")
    wrong = is_dns1123_subdomain(name)
    errors += [FieldError.invalid(f"{path}.name", name, m) for m in wrong]
    if not wrong and len(name.split(".")) < 3:
        text = "should be a domain with at least three segments separated by dots"
        errors.append(FieldError.invalid(f"{path}.name", name, text))
    reviews = hook.get("admissionReviewVersions") or []
    if not reviews:
        text = "must specify one of v1, v1beta1"
        errors.append(FieldError.required(f"{path}.admissionReviewVersions", text))
    elif not {"v1", "v1beta1"} & set(reviews):
        text = "must include at least one of v1, v1beta1"
        errors.append(FieldError.invalid(f"{path}.admissionReviewVersions", reviews, text))
    effects = hook.get("sideEffects", "")
    if effects not in ("None", "NoneOnDryRun"):
        errors.append(FieldError.not_supported(f"{path}.sideEffects", effects, ("None", "NoneOnDryRun")))
    errors += one_of(hook.get("failurePolicy"), ("Fail", "Ignore"), f"{path}.failurePolicy")
    errors += one_of(hook.get("matchPolicy"), ("Equivalent", "Exact"), f"{path}.matchPolicy")
    errors += one_of(hook.get("reinvocationPolicy"), ("IfNeeded", "Never"), f"{path}.reinvocationPolicy")
    timeout = hook.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        errors.append(FieldError.invalid(f"{path}.timeoutSeconds", timeout, text))
    errors += _client(hook.get("clientConfig") or {}, f"{path}.clientConfig")
    for j, rule in enumerate(hook.get("rules") or ()):
        errors += _rule(rule, f"{path}.rules[{j}]")
    for field in ("namespaceSelector", "objectSelector"):
        errors += selector(hook.get(field) or {}, f"{path}.{field}")
    return errors + conditions(hook.get("matchConditions") or [], f"{path}.matchConditions")


def _client(client: dict[str, Any], path: str) -> list[FieldError]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [FieldError.required(path, "exactly one of url or service is required")]
    errors: list[FieldError] = []
    if url is not None or service is None:
        url = url or ""
        if not url.startswith("https://"):
            text = f"'https' is the only allowed URL scheme; got {url!r}; desired format: https://host[/path]"
            errors.append(FieldError.invalid(f"{path}.url", url, text))
        return errors
    for field in ("name", "namespace"):
        if not service.get(field):
            errors.append(FieldError.required(f"{path}.service.{field}", f"service {field} is required"))
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        errors.append(
            FieldError.invalid(
                f"{path}.service.port", port, "port is not valid: must be between 1 and 65535, inclusive"
            )
        )
    return errors


def _rule(rule: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operations = rule.get("operations") or []
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
        values = rule.get(field) or []
        if not values:
            errors.append(FieldError.required(f"{path}.{field}"))
        elif len(values) > 1 and "*" in values:
            errors.append(FieldError.invalid(f"{path}.{field}", values, text))
    resources = rule.get("resources") or []
    if not resources:
        errors.append(FieldError.required(f"{path}.resources"))
    elif len(resources) > 1 and "*/*" in resources:
        text = "if '*/*' is present, must not specify other resources"
        errors.append(FieldError.invalid(f"{path}.resources", resources, text))
    errors += one_of(rule.get("scope"), ("*", "Cluster", "Namespaced"), f"{path}.scope")
    return errors


def conditions(given: list[dict[str, Any]], path: str) -> list[FieldError]:
    """Match conditions: named, unique, boolean expressions."""
    errors: list[FieldError] = []
    names: set[str] = set()
    if len(given) > 64:
        errors.append(FieldError.too_many(path, len(given), 64))
    for i, condition in enumerate(given):
        at = f"{path}[{i}]"
        name, text = condition.get("name", ""), condition.get("expression", "")
        if not name:
            errors.append(FieldError.required(f"{at}.name"))
        else:
            errors += [FieldError.invalid(f"{at}.name", name, m) for m in is_qualified_name(name)]
            if name in names:
                errors.append(FieldError.duplicate(f"{at}.name", name))
            names.add(name)
        errors += _expression(text, f"{at}.expression", ("BOOL", "DYN"), "bool")
    return errors


def _expression(text: str, path: str, results: tuple[str, ...], wanted: str) -> list[FieldError]:
    if not text.strip():
        return [FieldError.required(path)]
    try:
        program = compile_expression(text, CONDITION_VARIABLES)
    except CelCompileError as error:
        return [FieldError.invalid(path, text, f"compilation failed: {error}")]
    if program.result not in results:
        return [FieldError.invalid(path, text, f"must evaluate to {wanted}")]
    return []


def policy(obj: dict[str, Any]) -> list[FieldError]:
    """A ValidatingAdmissionPolicy."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    errors += one_of(spec.get("failurePolicy"), ("Fail", "Ignore"), "spec.failurePolicy")
    match = spec.get("matchConstraints")
    if not match:
        errors.append(FieldError.required("spec.matchConstraints"))
    elif not match.get("resourceRules"):
        errors.append(FieldError.required("spec.matchConstraints.resourceRules"))
    else:
        for i, rule in enumerate(match["resourceRules"]):
            errors += _rule(rule, f"spec.matchConstraints.resourceRules[{i}]")
    errors += conditions(spec.get("matchConditions") or [], "spec.matchConditions")
    for i, variable in enumerate(spec.get("variables") or ()):
        at = f"spec.variables[{i}]"
        name = variable.get("name", "")
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            errors.append(FieldError.invalid(f"{at}.name", name, "name is not a valid CEL identifier"))
        errors += _expression(variable.get("expression", ""), f"{at}.expression", _ANY, "a value")
    validations = spec.get("validations") or []
    if not validations and not spec.get("auditAnnotations"):
        text = "validations or auditAnnotations must be specified; at least one of validations or auditAnnotations"
        errors.append(FieldError.required("spec.validations", text))
    for i, validation in enumerate(validations):
        at = f"spec.validations[{i}]"
        text = validation.get("expression", "")
        if not text.strip():
            errors.append(FieldError.required(f"{at}.expression", "expression is not specified"))
        else:
            errors += _expression(text, f"{at}.expression", ("BOOL", "DYN"), "bool")
        if validation.get("messageExpression"):
            at += ".messageExpression"
            errors += _expression(validation["messageExpression"], at, ("STRING", "DYN"), "string")
    return errors


_ANY = (
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DURATION",
    "DYN",
    "INT",
    "LIST",
    "MAP",
    "NULL",
    "STRING",
    "TIMESTAMP",
    "UINT",
    "LIST<DYN>",
)


def policy_binding(obj: dict[str, Any]) -> list[FieldError]:
    """A ValidatingAdmissionPolicyBinding."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    if not spec.get("policyName"):
        errors.append(FieldError.required("spec.policyName"))
    actions = spec.get("validationActions") or []
    if not actions:
        errors.append(FieldError.required("spec.validationActions", "at least one validation action is required"))
    for i, action in enumerate(actions):
        errors += one_of(action, ("Audit", "Deny", "Warn"), f"spec.validationActions[{i}]")
    if "Deny" in actions and "Warn" in actions:
        text = "must not contain both Deny and Warn (repeating the same validation failure information)"
        errors.append(FieldError.invalid("spec.validationActions", actions, text))
    return errors
