"""Wires the aggregation of cluster roles: any role's change may concern every aggregated one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kobune.embedded.builtin.roles.decide import CLUSTER_ROLES, ClusterRole, Observed, decide
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.client.selectors import parse_labels, render_selector
from kobune.kube.informer import Informer
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one role from the cache."""

    roles: Informer[ClusterRole]

    async def __call__(self, key: Key) -> Observed | None:
        """None for a role that is not made of others."""
        role = self.roles.get(key)
        if role is None or role.aggregation_rule is None:
            return None
        everything = self.roles.list()
        matches = [parse_labels(render_selector(selector)) for selector in role.aggregation_rule.cluster_role_selectors]
        selected = (tuple(other for other in everything if match(other.metadata.labels)) for match in matches)
        return Observed(role, tuple(selected))


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    roles = process.informers.of(CLUSTER_ROLES)

    def aggregated(_changed: Any) -> Iterable[Key]:
        return [key_of(role) for role in roles.list() if role.aggregation_rule is not None]

    process.add(
        "clusterroles",
        primary=roles,
        observe=Observe(roles),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(roles, aggregated)],
        workers=1,
    )
