"""The authorizer: nodes by what is theirs, everybody by the stored roles and bindings (RBAC).

Owns: an index of bindings by subject, kept up by listening to the four collections, and the wording of refusals.
"""

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
_Grant = tuple[str | None, tuple[Rule, ...], str]
"""(namespace or None for everywhere, rules, the binding in words)."""


class Authorizer:
    """Answers whether a user may do something. Members of system:masters may do everything."""

    def __init__(self, storage: Storage) -> None:
        self._roles = storage.collection(_PREFIX + "roles")
        self._cluster_roles = storage.collection(_PREFIX + "clusterroles")
        self._bindings = storage.collection(_PREFIX + "rolebindings")
        self._cluster_bindings = storage.collection(_PREFIX + "clusterrolebindings")
        self._parsed: dict[Item, Any] = {}
        self._by_user: dict[tuple[str, tuple[str, ...]], list[_Grant]] = {}
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
        return any(_grants(granted, attributes) for granted in self._grants(user))

    def explain(self, attributes: Attributes) -> tuple[bool, str]:
        """(granted, why or why not): what reviews and expressions are told."""
        if not self.allowed(attributes):
            node = node_of(attributes.user)
            if node:
                return False, f"no relationship found between node '{node}' and this object"
            return False, self._trouble(attributes)
        if MASTERS in attributes.user.groups or self._nodes.allowed(attributes):
            return True, ""
        source = next(granted[2] for granted in self._grants(attributes.user) if _grants(granted, attributes))
        return True, f"RBAC: allowed by {source}"

    def require(self, attributes: Attributes) -> None:
        """Raise the 403 answer when the request is not granted."""
        if not self.allowed(attributes):
            raise refusal(attributes, self.explain(attributes)[1])

    def _trouble(self, attributes: Attributes) -> str:
        """The bindings of a user that name roles which do not exist."""
        user, missing = attributes.user, []
        bindings = [(binding, "") for binding in self._cluster_bindings.select()]
        if attributes.namespace:
            bindings += [(binding, attributes.namespace) for binding in self._bindings.select(attributes.namespace)]
        for item, namespace in bindings:
            binding = self._binding(item)
            if _bound(binding, user, namespace) and self.role_rules(binding["roleRef"], namespace) is None:
                kind = str(binding["roleRef"].get("kind", "")).lower()
                missing.append(f'{kind}.rbac.authorization.k8s.io "{binding["roleRef"].get("name", "")}" not found')
        if not missing:
            return ""
        return f"RBAC: {missing[0] if len(missing) == 1 else '[' + ', '.join(dict.fromkeys(missing)) + ']'}"

    def holds(self, attributes: Attributes, since: int) -> bool:
        """Whether what was granted at generation `since` still is; a node's rights also change with its pods."""
        if since == self.generation and node_of(attributes.user) is None:
            return True
        return self.allowed(attributes)

    def rules_for(self, user: User, namespace: str) -> list[Rule]:
        """Everything a user may do in a namespace (empty: cluster-wide)."""
        rules: list[Rule] = []
        for scope, granted, _ in self._grants(user):
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

    def _grants(self, user: User) -> list[_Grant]:
        key = (user.name, user.groups)
        found = self._by_user.get(key)
        if found is None:
            if len(self._by_user) > 10_000:
                self._by_user.clear()
            found = self._by_user[key] = list(self._find_grants(user))
        return found

    def _find_grants(self, user: User) -> Iterator[_Grant]:
        for item in self._cluster_bindings.select():
            binding = self._binding(item)
            subject = _bound(binding, user, "")
            if subject:
                rules = self.role_rules(binding["roleRef"], "")
                if rules:
                    yield None, rules, f'ClusterRoleBinding "{item.name}" of {_role(binding)} to {subject}'
        for item in self._bindings.select():
            binding = self._binding(item)
            subject = _bound(binding, user, item.namespace)
            if subject:
                rules = self.role_rules(binding["roleRef"], item.namespace)
                if rules:
                    source = f'RoleBinding "{item.name}/{item.namespace}" of {_role(binding)} to {subject}'
                    yield item.namespace, rules, source

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


def _grants(granted: _Grant, attributes: Attributes) -> bool:
    namespace, rules, _ = granted
    a = attributes
    if namespace is not None and (namespace != a.namespace or not a.resource):
        return False
    if a.resource:
        return any(rule.allows_resource(a.verb, a.group, a.resource, a.subresource, a.name) for rule in rules)
    return any(rule.allows_path(a.verb, a.path) for rule in rules)


def _role(binding: dict[str, Any]) -> str:
    reference = binding["roleRef"]
    return f'{reference.get("kind", "")} "{reference.get("name", "")}"'


def _bound(binding: dict[str, Any], user: User, namespace: str) -> str:
    """The subject of a binding that is this user, as refusals and reasons name it; empty for none."""
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name")
        match kind:
            case "User":
                found = name == user.name
            case "Group":
                found = name in user.groups
            case "ServiceAccount":
                where = subject.get("namespace") or namespace
                found = user.name == f"system:serviceaccount:{where}:{name}"
                name = f"{name}/{where}"
            case _:
                continue
        if found:
            return f'{kind} "{name}"'
    return ""


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
