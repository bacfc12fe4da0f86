"""Defaults of webhooks and admission policies. Pure functions on stored form."""

from collections.abc import Callable
from typing import Any

__all__ = ["HOOKS"]

_GROUP = "admissionregistration.k8s.io"


def _webhooks(obj: dict[str, Any]) -> None:
    mutating = obj.get("kind") == "MutatingWebhookConfiguration"
    for hook in obj.get("webhooks") or ():
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        hook.setdefault("timeoutSeconds", 10)
        if mutating:
            hook.setdefault("reinvocationPolicy", "Never")
        service = (hook.get("clientConfig") or {}).get("service")
        if isinstance(service, dict):
            service.setdefault("port", 443)
        for rule in hook.get("rules") or ():
            rule.setdefault("scope", "*")


def _match_resources(match: Any) -> None:
    if not isinstance(match, dict):
        return
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    for name in ("resourceRules", "excludeResourceRules"):
        for rule in match.get(name) or ():
            rule.setdefault("scope", "*")


def _policy(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    _match_resources(spec.get("matchConstraints"))


def _policy_binding(obj: dict[str, Any]) -> None:
    _match_resources((obj.get("spec") or {}).get("matchResources"))


HOOKS: dict[tuple[str, str], Callable[[dict[str, Any]], None]] = {
    (_GROUP, "ValidatingWebhookConfiguration"): _webhooks,
    (_GROUP, "MutatingWebhookConfiguration"): _webhooks,
    (_GROUP, "ValidatingAdmissionPolicy"): _policy,
    (_GROUP, "ValidatingAdmissionPolicyBinding"): _policy_binding,
}
