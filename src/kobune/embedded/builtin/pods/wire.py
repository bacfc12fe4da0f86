"""Wires pod garbage collection: a node's coming and going concerns all of its pods."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from kobune.api.core import Node, Pod
from kobune.base.clock import Clock
from kobune.embedded.builtin.pods.decide import Observed, decide
from kobune.kube.client.core import NODES, PODS
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer, by_field
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]


@dataclass(slots=True)
class Observe:
    """Observation of one pod. Remembers since when a node is missed; after a restart the wait begins anew."""

    pods: Informer[Pod]
    nodes: Informer[Node]
    clock: Clock
    _missing: dict[str, datetime] = field(default_factory=dict)

    async def __call__(self, key: Key) -> Observed | None:
        """None once the pod is gone."""
        pod = self.pods.get(key)
        if pod is None:
            return None
        name, now = pod.spec.node_name, self.clock.now()
        if not name or self.nodes.get(Key("", name)) is not None:
            self._missing.pop(name, None)
            return Observed(pod, None, now)
        return Observed(pod, self._missing.setdefault(name, now), now)


def _node_name(pod: Pod) -> str:
    return pod.spec.node_name


_BY_NODE = by_field(_node_name)


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    pods = process.informers.of(PODS, indexes={"node": _BY_NODE})
    nodes = process.informers.of(NODES)

    def pods_of(node: Node) -> Iterable[Key]:
        return [key_of(pod) for pod in pods.by_index("node", node.metadata.name)]

    def came_or_went(old: Node | None, new: Node | None) -> bool:
        return old is None or new is None

    process.add(
        "pods",
        primary=pods,
        observe=Observe(pods, nodes, process.clock),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(nodes, pods_of, came_or_went)],
        workers=2,
    )
