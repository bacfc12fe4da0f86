"""What a node may do: the decisions of Kubernetes' node authorizer.

Owns: the rules. Everything else that a node's kubelet needs of every cluster (services, reviews, events) is the
ClusterRole system:node less what is restricted here. Must not look at the content of a request: that is admission's.
"""

from collections.abc import Callable

from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rbac.node_graph import NodeGraph
from kobune.embedded.apiserver.rbac.rules import Rule
from kobune.embedded.apiserver.registry.selectors import SelectorError, parse_fields
from kobune.embedded.apiserver.user import User

__all__ = ["LEASE_NAMESPACE", "NODES", "NodeAuthorizer", "node_of"]

NODES = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"
_PREFIX = "system:node:"
_READ = ("get", "list", "watch")


def node_of(user: User) -> str | None:
    """The node that a user is; empty for one of the group that names no node, None for everybody else."""
    if NODES not in user.groups:
        return None
    return user.name.removeprefix(_PREFIX) if user.name.startswith(_PREFIX) else ""


class NodeAuthorizer:
    """`rules` are the rights of every node on what is not one node's own."""

    def __init__(self, graph: NodeGraph, rules: tuple[Rule, ...]) -> None:
        self._graph = graph
        self._rules = rules
        self._own: dict[tuple[str, str], Callable[[str, Attributes], bool]] = {
            ("", "secrets"): self._read_needed,
            ("", "configmaps"): self._read_needed,
            ("", "persistentvolumeclaims"): self._get_needed,
            ("", "persistentvolumes"): self._get_needed,
            ("", "serviceaccounts"): self._token,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
            ("coordination.k8s.io", "leases"): self._lease,
            ("storage.k8s.io", "csinodes"): self._csi_node,
        }

    def allowed(self, attributes: Attributes) -> bool:
        """Whether a node may; False for users that are none."""
        node = node_of(attributes.user)
        if not node or not attributes.resource:
            return False
        own = self._own.get((attributes.group, attributes.resource))
        if own is not None:
            return own(node, attributes)
        a = attributes
        return any(rule.allows_resource(a.verb, a.group, a.resource, a.subresource, a.name) for rule in self._rules)

    def _read_needed(self, node: str, a: Attributes) -> bool:
        return a.verb in _READ and self._needed(node, a)

    def _get_needed(self, node: str, a: Attributes) -> bool:
        return a.verb == "get" and self._needed(node, a)

    def _needed(self, node: str, a: Attributes) -> bool:
        return not a.subresource and bool(a.name) and self._graph.reaches(node, a.resource, a.namespace, a.name)

    def _token(self, node: str, a: Attributes) -> bool:
        if a.verb != "create" or a.subresource != "token":
            return False
        return self._graph.reaches(node, "serviceaccounts", a.namespace, a.name)

    @staticmethod
    def _node(node: str, a: Attributes) -> bool:
        if a.subresource:
            return a.subresource == "status" and a.verb in ("get", "update", "patch") and a.name == node
        if a.verb == "create":
            return not a.name or a.name == node  # admission knows the name
        return a.verb in (*_READ, "update", "patch") and a.name == node

    def _pod(self, node: str, a: Attributes) -> bool:
        match a.subresource, a.verb:
            case "", "create":
                return True  # admission allows mirror pods only
            case "", "get":
                return self._graph.has_pod(node, a.namespace, a.name)
            case "", "list" | "watch":
                return _selects_node(a.field_selector, node) or self._graph.has_pod(node, a.namespace, a.name)
            case ("", "delete") | ("status", "update" | "patch"):
                return True  # admission sees whose pod it is; one that is gone is "not found"
            case "eviction", "create":
                return self._graph.has_pod(node, a.namespace, a.name)  # before a budget is spent
        return False

    @staticmethod
    def _lease(node: str, a: Attributes) -> bool:
        if a.namespace != LEASE_NAMESPACE or a.subresource:
            return False
        if a.verb == "create":
            return not a.name or a.name == node
        return a.verb in ("get", "update", "patch", "delete") and a.name == node

    @staticmethod
    def _csi_node(node: str, a: Attributes) -> bool:
        if a.subresource:
            return False
        if a.verb == "create":
            return not a.name or a.name == node
        return a.verb in ("get", "update", "patch", "delete") and a.name == node


def _selects_node(selector: str, node: str) -> bool:
    try:
        terms = parse_fields(selector).terms
    except SelectorError:
        return False
    return ("spec.nodeName", True, node) in terms
