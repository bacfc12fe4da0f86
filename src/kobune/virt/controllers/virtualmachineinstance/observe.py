"""Gathers what the decision about a VirtualMachineInstance needs, from caches alone."""

from collections.abc import Awaitable, Callable

from kobune.api.core import Node, Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import Clock
from kobune.base.quantity import parse_quantity
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.virt.controllers.owners import BY_OWNER
from kobune.virt.controllers.virtualmachineinstance.decide import Observed
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import PodSettings

__all__ = ["observer"]


def observer(
    instances: Informer[VirtualMachineInstance],
    pods: Informer[Pod],
    nodes: Informer[Node],
    clock: Clock,
    launcher_image: str,
    image_pull_policy: str,
) -> Callable[[Key], Awaitable[Observed | None]]:
    """The observe step over these caches; `pods` must be indexed by `BY_OWNER`."""

    async def observe(key: Key) -> Observed | None:
        vmi = instances.get(key)
        if vmi is None:
            return None
        owned = pods.by_index(BY_OWNER, vmi.metadata.uid)
        settings = PodSettings(launcher_image, image_pull_policy, kvm=_offers_kvm(nodes))
        return Observed(vmi, tuple(owned), clock.now(), settings)

    return observe


def _offers_kvm(nodes: Informer[Node]) -> bool:
    """Whether some node advertises KVM; virt-handler does so only after a guest ran in it there."""
    return any(parse_quantity(node.status.allocatable.get("devices.kubevirt.io/kvm", 0)) > 0 for node in nodes.list())
