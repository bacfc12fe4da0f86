"""Which changes make the controller look at a VirtualMachine."""

from kobune.api.kubevirt import VirtualMachine
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import (
    CLUSTER_INSTANCETYPES,
    CLUSTER_PREFERENCES,
    DATA_VOLUMES,
    INSTANCETYPES,
    PREFERENCES,
)
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Resource
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, controller_key, naming_keys
from kobune.virt.controllers.owners import BY_OWNER, owner_uids
from kobune.virt.controllers.revisions import CONTROLLER_REVISIONS
from kobune.virt.controllers.virtualmachine.datavolumes import volume_names
from kobune.virt.controllers.virtualmachine.decide import Observed, decide
from kobune.virt.controllers.virtualmachine.observe import observer
from kobune.virt.controllers.virtualmachine.refusals import refused

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    machines = process.informers.of(VIRTUAL_MACHINES)
    instances = process.informers.of(VIRTUAL_MACHINE_INSTANCES)
    revisions = process.informers.of(CONTROLLER_REVISIONS, indexes={BY_OWNER: owner_uids})
    sizes = {
        typed.kind: process.informers.of(
            Resource(typed.group, typed.version, typed.plural, typed.kind, typed.namespaced, dict)
        )
        for typed in (INSTANCETYPES, CLUSTER_INSTANCETYPES, PREFERENCES, CLUSTER_PREFERENCES)
    }

    data_volumes = process.informers.of(DATA_VOLUMES)
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS)

    # A claim or a DataVolume that somebody else made matters as much as the machine's own.
    disk_users = naming_keys(machines, volume_names)
    users = naming_keys(machines, _sizes)

    return process.add(
        "virtualmachine",
        primary=machines,
        observe=observer(machines, instances, revisions, sizes, data_volumes, claims, process.clock),
        decide=decide,
        execute=process.writer.execute,
        refused=refused,
        # By name, not by owner: an instance in the way matters as well.
        watches=(
            Watch(instances, lambda vmi: (key_of(vmi),)),
            Watch(data_volumes, controller_key("VirtualMachine")),
            Watch(data_volumes, disk_users),
            Watch(claims, disk_users),
            *(Watch(informer, users) for informer in sizes.values()),
        ),
        reads=(revisions,),
    )


def _sizes(vm: VirtualMachine) -> list[str]:
    """The instancetype and the preference that a machine names."""
    matchers = (vm.spec.instancetype, vm.spec.preference)
    return [item.name for item in matchers if item is not None and item.name]
