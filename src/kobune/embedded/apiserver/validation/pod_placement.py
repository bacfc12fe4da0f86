"""Rules of where a pod may run: tolerations, affinity, spreading."""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_label, is_qualified_name
from kobune.embedded.apiserver.validation.checks import one_of, positive
from kobune.embedded.apiserver.validation.metadata import selector

__all__ = ["affinity", "node_selector", "spread", "tolerations"]

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def tolerations(given: list[dict[str, Any]], path: str) -> list[FieldError]:
    """A pod's tolerations."""
    return [error for i, toleration in enumerate(given) for error in _toleration(toleration, f"{path}[{i}]")]


def _toleration(toleration: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    if key:
        errors += [FieldError.invalid(f"{path}.key", key, m) for m in is_qualified_name(key)]
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(FieldError.invalid(f"{path}.operator", operator, text))
    if operator not in ("", "Equal", "Exists"):
        errors.append(FieldError.not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    if operator == "Exists" and toleration.get("value"):
        text = "value must be empty when `operator` is 'Exists'"
        errors.append(FieldError.invalid(f"{path}.operator", toleration["value"], text))
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(FieldError.invalid(f"{path}.effect", toleration.get("effect", ""), text))
    if toleration.get("effect"):
        errors += one_of(toleration["effect"], _EFFECTS, f"{path}.effect")
    return errors


def affinity(given: dict[str, Any], path: str) -> list[FieldError]:
    """To nodes, to pods, away from pods."""
    errors: list[FieldError] = []
    nodes = given.get("nodeAffinity") or {}
    at = f"{path}.nodeAffinity"
    if nodes.get(_REQUIRED) is not None:
        errors += node_selector(nodes[_REQUIRED], f"{at}.{_REQUIRED}")
    for i, term in enumerate(nodes.get(_PREFERRED) or ()):
        errors += _weight(term, f"{at}.{_PREFERRED}[{i}]")
        errors += _term(term.get("preference") or {}, f"{at}.{_PREFERRED}[{i}].preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = given.get(kind) or {}
        for i, term in enumerate(pods.get(_REQUIRED) or ()):
            errors += _pod_term(term, f"{path}.{kind}.{_REQUIRED}[{i}]")
        for i, term in enumerate(pods.get(_PREFERRED) or ()):
            where = f"{path}.{kind}.{_PREFERRED}[{i}]"
            errors += _weight(term, where)
            errors += _pod_term(term.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm")
    return errors


def _weight(term: dict[str, Any], path: str) -> list[FieldError]:
    weight = term.get("weight", 0)
    return [] if 1 <= weight <= 100 else [FieldError.invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def node_selector(given: dict[str, Any], path: str) -> list[FieldError]:
    """Terms of which one must hold."""
    terms = given.get("nodeSelectorTerms") or []
    at = f"{path}.nodeSelectorTerms"
    if not terms:
        return [FieldError.required(at, "must have at least one node selector term")]
    return [error for i, term in enumerate(terms) for error in _term(term, f"{at}[{i}]")]


def _term(term: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, given in enumerate(term.get("matchExpressions") or ()):
        errors += _expression(given, f"{path}.matchExpressions[{i}]")
    for i, given in enumerate(term.get("matchFields") or ()):
        errors += _field(given, f"{path}.matchFields[{i}]")
    return errors


def _expression(given: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = given.get("operator", ""), given.get("values") or []
    match operator:
        case "In" | "NotIn":
            if not values:
                text = "must be specified when `operator` is 'In' or 'NotIn'"
                errors.append(FieldError.required(f"{path}.values", text))
        case "Exists" | "DoesNotExist":
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(FieldError.forbidden(f"{path}.values", text))
        case "Gt" | "Lt":
            if len(values) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                errors.append(FieldError.required(f"{path}.values", text))
        case _:
            errors.append(FieldError.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = given.get("key", "")
    return errors + [FieldError.invalid(f"{path}.key", key, m) for m in is_qualified_name(key)]


def _field(given: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = given.get("operator", ""), given.get("values") or []
    if operator not in ("In", "NotIn"):
        errors.append(FieldError.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(FieldError.required(f"{path}.values", text))
    if given.get("key") != "metadata.name":
        errors.append(FieldError.invalid(f"{path}.key", given.get("key", ""), "not a valid field selector key"))
    return errors


def _pod_term(term: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("labelSelector", "namespaceSelector"):
        if term.get(field):
            errors += selector(term[field], f"{path}.{field}")
    for name in term.get("namespaces") or ():
        errors += [FieldError.invalid(f"{path}.namespace", name, m) for m in is_dns1123_label(name)]
    key = term.get("topologyKey", "")
    if not key:
        errors.append(FieldError.required(f"{path}.topologyKey", "can not be empty"))
        return errors
    return errors + [FieldError.invalid(f"{path}.topologyKey", key, m) for m in is_qualified_name(key)]


def spread(given: list[dict[str, Any]], path: str) -> list[FieldError]:
    """Topology spread constraints."""
    errors: list[FieldError] = []
    pairs: set[tuple[str, str]] = set()
    for i, constraint in enumerate(given):
        at = f"{path}[{i}]"
        skew, key = constraint.get("maxSkew", 0), constraint.get("topologyKey", "")
        action = constraint.get("whenUnsatisfiable", "")
        if skew <= 0:
            errors.append(FieldError.invalid(f"{at}.maxSkew", skew, "must be greater than zero"))
        if not key:
            errors.append(FieldError.required(f"{at}.topologyKey", "can not be empty"))
        else:
            errors += [FieldError.invalid(f"{at}.topologyKey", key, m) for m in is_qualified_name(key)]
        errors += one_of(action, ("DoNotSchedule", "ScheduleAnyway"), f"{at}.whenUnsatisfiable")
        if (key, action) in pairs:
            errors.append(FieldError.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        pairs.add((key, action))
        errors += positive(constraint.get("minDomains"), f"{at}.minDomains")
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            errors += one_of(constraint.get(field), ("Honor", "Ignore"), f"{at}.{field}")
        if constraint.get("labelSelector"):
            errors += selector(constraint["labelSelector"], f"{at}.labelSelector")
    return errors
