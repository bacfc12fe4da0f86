"""How rules and cluster roles are written down."""

from typing import Any, Final

from kobune.operator.names import PART_OF

__all__ = ["RBAC", "READ", "Manifest", "Rule", "cluster_role", "rule"]

Manifest = dict[str, Any]
Rule = dict[str, Any]

RBAC: Final = "rbac.authorization.k8s.io"
READ: Final = ("get", "list", "watch")


def rule(groups: str | tuple[str, ...], resources: tuple[str, ...], verbs: tuple[str, ...], *names: str) -> Rule:
    """One rule; `names` restrict it to objects of these names."""
    found: Rule = {
        "apiGroups": [groups] if isinstance(groups, str) else list(groups),
        "resources": list(resources),
        "verbs": list(verbs),
    }
    if names:
        found["resourceNames"] = list(names)
    return found


def cluster_role(name: str, rules: tuple[Rule, ...], aggregate_to: str = "") -> Manifest:
    """A ClusterRole, which may become part of Kubernetes' own role `aggregate_to`."""
    labels = dict(PART_OF)
    if aggregate_to:
        labels[f"{RBAC}/aggregate-to-{aggregate_to}"] = "true"
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": list(rules),
    }
