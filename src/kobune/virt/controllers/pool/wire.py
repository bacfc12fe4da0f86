"""Observing pools, and which changes make the controller look at one."""

from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import VIRTUAL_MACHINE_POOLS
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, controller_key
from kobune.virt.controllers.owners import BY_OWNER, owner_uids
from kobune.virt.controllers.pool.decide import Observed, decide
from kobune.virt.controllers.revisions import CONTROLLER_REVISIONS

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    pools = process.informers.of(VIRTUAL_MACHINE_POOLS)
    machines = process.informers.of(VIRTUAL_MACHINES, indexes={BY_OWNER: owner_uids})
    revisions = process.informers.of(CONTROLLER_REVISIONS, indexes={BY_OWNER: owner_uids})

    async def observe(key: Key) -> Observed | None:
        pool = pools.get(key)
        if pool is None:
            return None
        uid = pool.metadata.uid
        kept = {key_of(item).name: item for item in revisions.by_index(BY_OWNER, uid)}
        return Observed(pool, tuple(machines.by_index(BY_OWNER, uid)), kept, process.clock.now())

    return process.add(
        "virtualmachinepool",
        primary=pools,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        watches=(Watch(machines, controller_key("VirtualMachinePool")),),
        reads=(revisions,),
    )
