"""Wires disruption budgets: pods lead to the budgets of their namespace that select them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from kobune.api.core import Pod
from kobune.base.clock import Clock
from kobune.embedded.builtin.disruption.decide import BUDGETS, Budget, Observed, decide
from kobune.kube.client.core import PODS
from kobune.kube.client.errors import NotFound
from kobune.kube.client.objects import controller_of, key_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.selectors import parse_labels, render_selector
from kobune.kube.informer import Informer, by_namespace
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]


def _scaled(group: str, plural: str, kind: str) -> Resource[dict[str, Any]]:
    return Resource(group, "v1", plural, kind, True, dict)


_SCALED: Final = {
    (resource.api_version, resource.kind): resource
    for resource in (
        _scaled("apps", "replicasets", "ReplicaSet"),
        _scaled("apps", "statefulsets", "StatefulSet"),
        _scaled("apps", "deployments", "Deployment"),
        _scaled("", "replicationcontrollers", "ReplicationController"),
        _scaled("kubevirt.io", "virtualmachineinstancereplicasets", "VirtualMachineInstanceReplicaSet"),
    )
}
"""Kinds with `spec.replicas`."""


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one budget; scales are read from the API, only where the budget needs them."""

    client: Client
    budgets: Informer[Budget]
    pods: Informer[Pod]
    clock: Clock

    async def __call__(self, key: Key) -> Observed | None:
        """None once the budget is gone."""
        budget = self.budgets.get(key)
        if budget is None or budget.metadata.deletion_timestamp is not None:
            return None
        pods = tuple(pod for pod in self.pods.by_index("namespace", key.namespace) if selects(budget, pod))
        by_scale = budget.spec.max_unavailable is not None or isinstance(budget.spec.min_available, str)
        return Observed(budget, pods, await self._scale(pods) if by_scale else None, self.clock.now())

    async def _scale(self, pods: tuple[Pod, ...]) -> int | None:
        wanted: dict[str, int] = {}
        for pod in pods:
            owner = controller_of(pod)
            resource = _SCALED.get((owner.api_version, owner.kind)) if owner is not None else None
            if owner is None or resource is None:
                return None
            if owner.uid in wanted:
                continue
            try:
                document = await self.client.get(resource, owner.name, pod.metadata.namespace)
            except NotFound:
                return None
            wanted[owner.uid] = int((document.get("spec") or {}).get("replicas", 1))
        return sum(wanted.values())


def selects(budget: Budget, pod: Pod) -> bool:
    """No selector selects nothing, an empty one everything; pods that ended don't count."""
    if budget.spec.selector is None or pod.status.phase in ("Succeeded", "Failed"):
        return False
    return parse_labels(render_selector(budget.spec.selector))(pod.metadata.labels)


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    budgets = process.informers.of(BUDGETS, indexes={"namespace": by_namespace})
    pods = process.informers.of(PODS, indexes={"namespace": by_namespace})

    def concerned(pod: Pod) -> Iterable[Key]:
        found = budgets.by_index("namespace", pod.metadata.namespace)
        return [key_of(budget) for budget in found if selects(budget, pod)]

    process.add(
        "disruption",
        primary=budgets,
        observe=Observe(process.client, budgets, pods, process.clock),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(pods, concerned)],
        workers=2,
    )
