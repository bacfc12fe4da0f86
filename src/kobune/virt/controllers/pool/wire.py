"""Observing pools, and which changes make the controller look at one."""

from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import DATA_VOLUMES, VIRTUAL_MACHINE_POOLS
from kobune.kube.client.objects import controller_of, key_of
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, controller_key
from kobune.virt.controllers.owners import BY_OWNER, owner_uids
from kobune.virt.controllers.pool.decide import Observed, decide, refused
from kobune.virt.controllers.revisions import CONTROLLER_REVISIONS

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    pools = process.informers.of(VIRTUAL_MACHINE_POOLS)
    machines = process.informers.of(VIRTUAL_MACHINES, indexes={BY_OWNER: owner_uids})
    revisions = process.informers.of(CONTROLLER_REVISIONS, indexes={BY_OWNER: owner_uids})

    instances = process.informers.of(VIRTUAL_MACHINE_INSTANCES)
    data_volumes = process.informers.of(DATA_VOLUMES, indexes={BY_OWNER: owner_uids})

    async def observe(key: Key) -> Observed | None:
        pool = pools.get(key)
        if pool is None:
            return None
        uid = pool.metadata.uid
        kept = {key_of(item).name: item for item in revisions.by_index(BY_OWNER, uid)}
        members = tuple(machines.by_index(BY_OWNER, uid))
        running = {}
        for vm in members:
            vmi = instances.get(key_of(vm))
            owner = controller_of(vmi) if vmi is not None else None
            if vmi is not None and owner is not None and owner.uid == vm.metadata.uid:
                running[vm.metadata.name] = vmi
        disks = {vm.metadata.uid: tuple(data_volumes.by_index(BY_OWNER, vm.metadata.uid)) for vm in members}
        return Observed(pool, members, kept, process.clock.now(), running, disks)

    def pool_of(vmi: object) -> list[Key]:
        vm = machines.get(key_of(vmi))
        owner = controller_of(vm) if vm is not None else None
        if owner is None or owner.kind != "VirtualMachinePool":
            return []
        return [Key(key_of(vmi).namespace, owner.name)]

    return process.add(
        "virtualmachinepool",
        primary=pools,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        refused=refused,
        watches=(Watch(machines, controller_key("VirtualMachinePool")), Watch(instances, pool_of)),
        reads=(revisions, data_volumes),
    )
