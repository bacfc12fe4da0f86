"""Rules of rbac.authorization.k8s.io, authorization.k8s.io and authentication.k8s.io."""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_subdomain, path_segment

__all__ = ["access_review", "binding", "binding_update", "role", "token_request"]


def role(obj: dict[str, Any]) -> list[FieldError]:
    """Rules of a Role or ClusterRole."""
    errors: list[FieldError] = []
    namespaced = obj.get("kind") == "Role"
    for i, rule in enumerate(obj.get("rules") or ()):
        errors += _rule(rule, f"rules[{i}]", namespaced)
    return errors


def _rule(rule: dict[str, Any], path: str, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if not rule.get("verbs"):
        errors.append(FieldError.required(f"{path}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs") or []
    if urls:
        if namespaced:
            text = "namespaced rules cannot apply to non-resource URLs"
            errors.append(FieldError.invalid(f"{path}.nonResourceURLs", urls, text))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(FieldError.invalid(f"{path}.nonResourceURLs", urls, text))
        return errors
    if not rule.get("apiGroups"):
        text = "resource rules must supply at least one api group"
        errors.append(FieldError.required(f"{path}.apiGroups", text))
    if not rule.get("resources"):
        errors.append(FieldError.required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


def binding(obj: dict[str, Any]) -> list[FieldError]:
    """The role and the subjects of a binding."""
    errors: list[FieldError] = []
    cluster = obj.get("kind") == "ClusterRoleBinding"
    reference = obj.get("roleRef") or {}
    group = reference.get("apiGroup", "")
    if group != "rbac.authorization.k8s.io":
        errors.append(FieldError.not_supported("roleRef.apiGroup", group, ("rbac.authorization.k8s.io",)))
    kinds = ("ClusterRole",) if cluster else ("Role", "ClusterRole")
    if reference.get("kind", "") not in kinds:
        errors.append(FieldError.not_supported("roleRef.kind", reference.get("kind", ""), kinds))
    name = reference.get("name", "")
    if not name:
        errors.append(FieldError.required("roleRef.name"))
    else:
        errors += [FieldError.invalid("roleRef.name", name, m) for m in path_segment(name)]
    for i, subject in enumerate(obj.get("subjects") or ()):
        errors += _subject(subject, f"subjects[{i}]", cluster)
    return errors


def _subject(subject: dict[str, Any], path: str, cluster: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    name, kind, group = subject.get("name", ""), subject.get("kind", ""), subject.get("apiGroup", "")
    if not name:
        errors.append(FieldError.required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            errors += [FieldError.invalid(f"{path}.name", name, m) for m in is_dns1123_subdomain(name)]
        if group:
            errors.append(FieldError.not_supported(f"{path}.apiGroup", group, ("",)))
        if cluster and not subject.get("namespace"):
            errors.append(FieldError.required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != "rbac.authorization.k8s.io":
            errors.append(FieldError.not_supported(f"{path}.apiGroup", group, ("rbac.authorization.k8s.io",)))
    else:
        errors.append(FieldError.not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group")))
    return errors


def binding_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A binding's role never changes."""
    errors: list[FieldError] = []
    if obj.get("roleRef") != old.get("roleRef"):
        errors.append(FieldError.invalid("roleRef", obj.get("roleRef"), "cannot change roleRef"))
    return errors + binding(obj)


def access_review(obj: dict[str, Any]) -> list[FieldError]:
    """A SubjectAccessReview of any kind asks exactly one thing."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        text = "cannot be specified in combination with resourceAttributes"
        errors.append(FieldError.invalid("spec.nonResourceAttributes", other, text))
    if resource is None and other is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errors.append(FieldError.invalid("spec.resourceAttributes", None, text))
    if obj.get("kind") != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        text = "at least one of user or group must be specified"
        errors.append(FieldError.invalid("spec.user", spec.get("user", ""), text))
    return errors


def token_request(obj: dict[str, Any]) -> list[FieldError]:
    """Tokens live at least ten minutes and at most 2^32 seconds."""
    seconds = (obj.get("spec") or {}).get("expirationSeconds")
    if seconds is None:
        return []
    if seconds < 600:
        text = "may not specify a duration less than 10 minutes"
        return [FieldError.invalid("spec.expirationSeconds", seconds, text)]
    if seconds > 1 << 32:
        text = "may not specify a duration larger than 2^32 seconds"
        return [FieldError.invalid("spec.expirationSeconds", seconds, text)]
    return []
