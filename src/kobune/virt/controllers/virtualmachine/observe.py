"""Gathers what the decision about a VirtualMachine needs, from caches alone."""

from collections.abc import Awaitable, Callable
from typing import Any

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.base.clock import Clock
from kobune.kube.client.objects import controller_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.virt.controllers.virtualmachine.decide import Observed

__all__ = ["observer"]


def observer(
    machines: Informer[VirtualMachine],
    instances: Informer[VirtualMachineInstance],
    revisions: Informer[dict[str, Any]],
    clock: Clock,
) -> Callable[[Key], Awaitable[Observed | None]]:
    """The observe step over these caches."""

    async def observe(key: Key) -> Observed | None:
        vm = machines.get(key)
        if vm is None:
            return None
        found = instances.get(key)
        owner = controller_of(found) if found is not None else None
        vmi = found if owner is not None and owner.uid == vm.metadata.uid else None
        revision = None
        if vmi is not None and vmi.status.virtual_machine_revision_name:
            revision = revisions.get(Key(key.namespace, vmi.status.virtual_machine_revision_name))
        return Observed(vm, vmi, found is not None and vmi is None, revision, clock.now())

    return observe
