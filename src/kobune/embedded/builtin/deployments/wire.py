"""Wires Deployments: a ReplicaSet leads to its controller."""

from dataclasses import dataclass

from kobune.base.clock import Clock
from kobune.embedded.builtin.deployments.decide import DEPLOYMENTS, Deployment, Observed, decide
from kobune.embedded.builtin.replicasets.types import REPLICA_SETS, ReplicaSet
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer, by_controller_uid
from kobune.kube.runtime import ControllerProcess, Watch, controller_key

__all__ = ["add_to"]


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one Deployment from caches."""

    deployments: Informer[Deployment]
    sets: Informer[ReplicaSet]
    clock: Clock

    async def __call__(self, key: Key) -> Observed | None:
        """None once the Deployment is gone."""
        subject = self.deployments.get(key)
        if subject is None:
            return None
        return Observed(subject, tuple(self.sets.by_index("controller", subject.metadata.uid)), self.clock.now())


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    deployments = process.informers.of(DEPLOYMENTS)
    sets = process.informers.of(REPLICA_SETS, indexes={"controller": by_controller_uid})
    process.add(
        "deployments",
        primary=deployments,
        observe=Observe(deployments, sets, process.clock),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(sets, controller_key("Deployment"))],
    )
