"""Observing replica sets, and which changes make the controller look at one."""

from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS, VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, controller_key
from kobune.virt.controllers.owners import BY_OWNER, owner_uids
from kobune.virt.controllers.replicaset.decide import Observed, decide, refused

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    replica_sets = process.informers.of(VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS)
    instances = process.informers.of(VIRTUAL_MACHINE_INSTANCES, indexes={BY_OWNER: owner_uids})

    async def observe(key: Key) -> Observed | None:
        replica_set = replica_sets.get(key)
        if replica_set is None:
            return None
        owned = instances.by_index(BY_OWNER, replica_set.metadata.uid)
        return Observed(replica_set, tuple(owned), process.clock.now())

    return process.add(
        "virtualmachineinstancereplicaset",
        primary=replica_sets,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        refused=refused,
        watches=(Watch(instances, controller_key("VirtualMachineInstanceReplicaSet")),),
    )
