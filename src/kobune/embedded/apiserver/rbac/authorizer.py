"""The authorizer: nodes by what is theirs, everybody by the stored roles and bindings (RBAC).

Owns: an index of bindings by subject, kept up by listening to the four collections, and the wording of refusals.
"""

import re
from collections.abc import Iterator
from typing import Any

from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rbac.bootstrap import NODE_RULES
from kobune.embedded.apiserver.rbac.node import NodeAuthorizer, node_of
from kobune.embedded.apiserver.rbac.node_graph import NodeGraph
from kobune.embedded.apiserver.rbac.rules import Rule, parse_rules
from kobune.embedded.apiserver.registry.collection import Change, Item
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.status import StatusError
from kobune.embedded.apiserver.user import MASTERS, User

__all__ = ["Authorizer"]

_PREFIX = "rbac.authorization.k8s.io/"
_ACCOUNT = re.compile(r"^system:serviceaccount:([^:]+):([^:]+)$")


class Authorizer:
    """Answers whether a user may do something. Members of system:masters may do everything."""

    def __init__(self, storage: Storage) -> None:
        self._roles = storage.collection(_PREFIX + "roles")
        self._cluster_roles = storage.collection(_PREFIX + "clusterroles")
        self._bindings = storage.collection(_PREFIX + "rolebindings")
        self._cluster_bindings = storage.collection(_PREFIX + "clusterrolebindings")
        self._parsed: dict[Item, Any] = {}
        self._by_user: dict[tuple[str, tuple[str, ...]], list[tuple[str | None, tuple[Rule, ...]]]] = {}
        self._nodes = NodeAuthorizer(NodeGraph(storage), parse_rules(NODE_RULES))
        self.generation = 0
        """Rises with every change of a role or binding: what was decided before may not hold any more."""
        for collection in (self._roles, self._cluster_roles, self._bindings, self._cluster_bindings):
            collection.listen(self._changed)

    def allowed(self, attributes: Attributes) -> bool:
        """Whether the request is granted."""
        user = attributes.user
        if MASTERS in user.groups:
            return True
        if self._nodes.allowed(attributes):
            return True
        for namespace, rules in self._grants(user):
            if namespace is not None and (namespace != attributes.namespace or not attributes.resource):
                continue
            for rule in rules:
                if attributes.resource:
                    if rule.allows_resource(
                        attributes.verb, attributes.group, attributes.resource, attributes.subresource, attributes.name
                    ):
                        return True
                elif rule.allows_path(attributes.verb, attributes.path):
                    return True
        return False

    def require(self, attributes: Attributes) -> None:
        """Raise the 403 answer when the request is not granted."""
        if not self.allowed(attributes):
            node = node_of(attributes.user)
            raise refusal(attributes, f"no relationship found between node '{node}' and this object" if node else "")

    def holds(self, attributes: Attributes, since: int) -> bool:
        """Whether what was granted at generation `since` still is; a node's rights also change with its pods."""
        if since == self.generation and node_of(attributes.user) is None:
            return True
        return self.allowed(attributes)

    def rules_for(self, user: User, namespace: str) -> list[Rule]:
        """Everything a user may do in a namespace (empty: cluster-wide)."""
        rules: list[Rule] = []
        if MASTERS in user.groups:
            rules.append(Rule(("*",), ("*",), ("*",)))
            rules.append(Rule(("*",), paths=("*",)))
        for scope, granted in self._grants(user):
            if scope is None or scope == namespace:
                rules.extend(granted)
        return rules

    def role_rules(self, reference: dict[str, Any], namespace: str) -> tuple[Rule, ...] | None:
        """The rules of a roleRef; None when the role does not exist."""
        name = reference.get("name", "")
        if reference.get("kind") == "ClusterRole":
            item = self._cluster_roles.get("", name)
        else:
            item = self._roles.get(namespace, name)
        return self._rules(item) if item else None

    def _grants(self, user: User) -> list[tuple[str | None, tuple[Rule, ...]]]:
        key = (user.name, user.groups)
        found = self._by_user.get(key)
        if found is None:
            if len(self._by_user) > 10_000:
                self._by_user.clear()
            found = self._by_user[key] = list(self._find_grants(user))
        return found

    def _find_grants(self, user: User) -> Iterator[tuple[str | None, tuple[Rule, ...]]]:
        for item in self._cluster_bindings.select():
            binding = self._binding(item)
            if _binds(binding, user, ""):
                rules = self.role_rules(binding["roleRef"], "")
                if rules:
                    yield None, rules
        for item in self._bindings.select():
            binding = self._binding(item)
            if _binds(binding, user, item.namespace):
                rules = self.role_rules(binding["roleRef"], item.namespace)
                if rules:
                    yield item.namespace, rules

    def _binding(self, item: Item) -> dict[str, Any]:
        parsed = self._parsed.get(item)
        if parsed is None:
            parsed = self._parsed[item] = item.object()
        binding: dict[str, Any] = parsed
        return binding

    def _rules(self, item: Item) -> tuple[Rule, ...]:
        parsed = self._parsed.get(item)
        if parsed is None:
            parsed = self._parsed[item] = parse_rules(item.object().get("rules"))
        rules: tuple[Rule, ...] = parsed
        return rules

    def _changed(self, change: Change) -> None:
        if change.previous is not None:
            self._parsed.pop(change.previous, None)
        self._by_user.clear()
        self.generation += 1


def _binds(binding: dict[str, Any], user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or ():
        match subject.get("kind"):
            case "User":
                if subject.get("name") == user.name:
                    return True
            case "Group":
                if subject.get("name") in user.groups:
                    return True
            case "ServiceAccount":
                wanted = f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject.get('name')}"
                if wanted == user.name:
                    return True
    return False


def refusal(attributes: Attributes, reason: str = "") -> StatusError:
    """The 403 answer in the API's words."""
    a = attributes
    if not a.resource:
        message = f'forbidden: User "{a.user.name}" cannot {a.verb} path "{a.path}"'
        return StatusError(403, "Forbidden", message, {})
    resource = f"{a.resource}/{a.subresource}" if a.subresource else a.resource
    scope = f'in the namespace "{a.namespace}"' if a.namespace else "at the cluster scope"
    what = f'User "{a.user.name}" cannot {a.verb} resource "{resource}" in API group "{a.group}" {scope}'
    qualified = f"{a.resource}.{a.group}" if a.group else a.resource
    if a.name:
        qualified += f' "{a.name}"'
    details: dict[str, Any] = {}
    if a.name:
        details["name"] = a.name
    if a.group:
        details["group"] = a.group
    details["kind"] = a.resource
    return StatusError(403, "Forbidden", f"{qualified} is forbidden: {what}{f': {reason}' if reason else ''}", details)
