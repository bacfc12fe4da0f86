"""Wires ReplicaSets: a pod leads to its controller, an orphan to the sets that select it."""

from collections.abc import Iterable
from dataclasses import dataclass

from kobune.api.core import Pod
from kobune.base.clock import Clock
from kobune.embedded.builtin.replicasets.decide import Observed, decide
from kobune.embedded.builtin.replicasets.types import REPLICA_SETS, ReplicaSet
from kobune.kube.client.core import PODS
from kobune.kube.client.objects import controller_of, key_of
from kobune.kube.client.resource import Key
from kobune.kube.client.selectors import parse_labels, render_selector
from kobune.kube.informer import Informer, by_namespace
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one set from caches."""

    sets: Informer[ReplicaSet]
    pods: Informer[Pod]
    clock: Clock

    async def __call__(self, key: Key) -> Observed | None:
        """None once the set is gone."""
        subject = self.sets.get(key)
        if subject is None:
            return None
        matches = parse_labels(render_selector(subject.spec.selector))
        mine = []
        for pod in self.pods.by_index("namespace", key.namespace):
            owner = controller_of(pod)
            if owner.uid == subject.metadata.uid if owner is not None else matches(pod.metadata.labels):
                mine.append(pod)
        return Observed(subject, tuple(mine), self.clock.now())


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    sets = process.informers.of(REPLICA_SETS, indexes={"namespace": by_namespace})
    pods = process.informers.of(PODS, indexes={"namespace": by_namespace})

    def sets_of(pod: Pod) -> Iterable[Key]:
        owner = controller_of(pod)
        if owner is not None:
            return (Key(pod.metadata.namespace, owner.name),) if owner.kind == "ReplicaSet" else ()
        found = sets.by_index("namespace", pod.metadata.namespace)
        return [
            key_of(item) for item in found if parse_labels(render_selector(item.spec.selector))(pod.metadata.labels)
        ]

    process.add(
        "replicasets",
        primary=sets,
        observe=Observe(sets, pods, process.clock),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(pods, sets_of)],
    )
