"""The rules of an aggregated cluster role. Pure.

Source: rbac.authorization.k8s.io/v1 ClusterRole.aggregationRule: the rules of all selected roles, each once.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kobune.api.meta import LabelSelector, Object, ObjectMeta
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Decision, PatchObject

__all__ = ["CLUSTER_ROLES", "AggregationRule", "ClusterRole", "Observed", "decide"]


class AggregationRule(Object, frozen=True, kw_only=True):
    """Which roles are taken together."""

    cluster_role_selectors: list[LabelSelector] = []


class ClusterRole(Object, frozen=True, kw_only=True):
    """As much of a ClusterRole as aggregation needs; rules stay as they are."""

    metadata: ObjectMeta = ObjectMeta()
    rules: list[dict[str, Any]] | None = None
    aggregation_rule: AggregationRule | None = None


CLUSTER_ROLES: Final = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False, ClusterRole, status_subresource=False
)


@dataclass(frozen=True, slots=True)
class Observed:
    """An aggregated role and the roles that each of its selectors finds, ordered by name."""

    role: ClusterRole
    selected: tuple[tuple[ClusterRole, ...], ...]


def decide(seen: Observed) -> Decision[Action]:
    """Write the rules when they differ, order included."""
    name = seen.role.metadata.name
    rules: dict[bytes, dict[str, Any]] = {}
    for roles in seen.selected:
        for role in roles:
            if role.metadata.name != name:
                rules |= {msgspec.json.encode(rule, order="sorted"): rule for rule in role.rules or ()}
    wanted = list(rules.values())
    if wanted == (seen.role.rules or []):
        return Decision()
    metadata = {"resourceVersion": seen.role.metadata.resource_version}
    patch = Patch.merge({"metadata": metadata, "rules": wanted})
    return Decision((PatchObject(CLUSTER_ROLES, Key("", name), patch),))
