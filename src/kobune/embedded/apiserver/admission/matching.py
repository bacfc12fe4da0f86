"""Does a webhook or policy look at a request: rules, selectors, equivalent versions. Only reads."""

from dataclasses import dataclass
from typing import Any

from kobune.embedded.apiserver.registry.registry import Registry, Resource
from kobune.embedded.apiserver.registry.selectors import LabelSelector, from_label_selector
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call

__all__ = ["Matched", "Matcher"]

_UNTOUCHABLE = frozenset(
    {
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    }
)


@dataclass(frozen=True, slots=True)
class Matched:
    """The version in which the hook wants to see the object."""

    resource: Resource


class Matcher:
    """Evaluates rules and selectors of one kind of hook."""

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._namespaces = storage.collection("core/namespaces")
        self._registry = registry

    def rules(
        self, call: Call, operation: str, rules: list[dict[str, Any]], policy: str, *, names: bool = False
    ) -> Matched | None:
        """Whether one of `rules` covers the request; `policy` is Exact or Equivalent."""
        info = call.resource.info
        if info.group == "admissionregistration.k8s.io" and info.plural in _UNTOUCHABLE:
            return None
        name = call.info.name
        for rule in rules:
            if names and rule.get("resourceNames") and name not in rule["resourceNames"]:
                continue
            if _rule(rule, operation, info.group, info.version, info.plural, call.info.subresource, _scope(call)):
                return Matched(call.resource)
        if policy != "Equivalent":
            return None
        for version in self._registry.versions(info.group):
            other = self._registry.lookup(info.group, version, info.plural)
            if other is None or other is call.resource:
                continue
            for rule in rules:
                if names and rule.get("resourceNames") and name not in rule["resourceNames"]:
                    continue
                if _rule(rule, operation, info.group, version, info.plural, call.info.subresource, _scope(call)):
                    return Matched(other)
        return None

    def namespace_labels(
        self, call: Call, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> dict[str, str] | None:
        """The labels that a namespaceSelector looks at; None for cluster-scoped objects, which always match."""
        info = call.resource.info
        if info.plural == "namespaces" and not info.group:
            source = obj if obj is not None else old
            return dict(((source or {}).get("metadata") or {}).get("labels") or {})
        if not info.namespaced:
            return None
        item = self._namespaces.get("", call.info.namespace)
        return item.labels if item else {}

    def namespace_object(self, call: Call) -> dict[str, Any] | None:
        """The namespace of the request, for policies."""
        if not call.resource.info.namespaced:
            return None
        item = self._namespaces.get("", call.info.namespace)
        return item.object() if item else None


def selector(value: Any) -> LabelSelector:
    """A compiled selector; null selects everything."""
    return from_label_selector(value if value is not None else {}) or LabelSelector()


def object_selected(wanted: LabelSelector, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> bool:
    """Either state of the object has the labels."""
    if not wanted:
        return True
    # What has no metadata (the options of a stream) has no labels to select by.
    return any(
        state is not None and "metadata" in state and wanted.matches(state["metadata"].get("labels") or {})
        for state in (obj, old)
    )


def _scope(call: Call) -> str:
    info = call.resource.info
    namespaced = info.namespaced and bool(call.info.namespace)
    return "Namespaced" if namespaced else "Cluster"


def _rule(
    rule: dict[str, Any], operation: str, group: str, version: str, plural: str, subresource: str, scope: str
) -> bool:
    def one(values: list[str] | None, wanted: str) -> bool:
        return "*" in (values or ()) or wanted in (values or ())

    if not one(rule.get("operations"), operation):
        return False
    if not one(rule.get("apiGroups"), group) or not one(rule.get("apiVersions"), version):
        return False
    if rule.get("scope", "*") not in ("*", scope):
        return False
    for entry in rule.get("resources") or ():
        resource, _, sub = entry.partition("/")
        if entry == "*/*":
            return True
        if resource not in ("*", plural):
            continue
        if sub == subresource or (sub == "*" and (subresource or resource == "*" or resource == plural)):
            return True
    return False
