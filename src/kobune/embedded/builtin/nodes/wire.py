"""Wires the node controller: nodes and the leases that their kubelets renew."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from kobune.api.core import Lease, Node
from kobune.base.clock import Clock
from kobune.embedded.builtin.nodes.decide import Observed, decide
from kobune.kube.client.core import LEASES, NODES
from kobune.kube.client.objects import key_of, uid_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]

_NAMESPACE: Final = "kube-node-lease"


@dataclass(slots=True)
class Observe:
    """Observation of one node. Remembers when it first saw each, so that its own start is no reason to mark one."""

    nodes: Informer[Node]
    leases: Informer[Lease]
    clock: Clock
    _since: dict[str, datetime] = field(default_factory=dict)

    async def __call__(self, key: Key) -> Observed | None:
        """None once the node is gone."""
        node = self.nodes.get(key)
        if node is None:
            return None
        now = self.clock.now()
        since = self._since.setdefault(uid_of(node), now)
        return Observed(node, self.leases.get(Key(_NAMESPACE, key.name)), since, now)


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    nodes = process.informers.of(NODES)
    leases = process.informers.of(LEASES, namespace=_NAMESPACE)

    def node_of(lease: Any) -> Iterable[Key]:
        return (Key("", key_of(lease).name),)

    def came_back(old: Any, new: Any) -> bool:
        # A renewal only moves the moment at which the pending look happens anyway.
        return old is None or new is None

    process.add(
        "nodes",
        primary=nodes,
        observe=Observe(nodes, leases, process.clock),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(leases, node_of, came_back)],
        workers=1,
    )
