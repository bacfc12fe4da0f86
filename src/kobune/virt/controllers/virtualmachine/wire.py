"""Which changes make the controller look at a VirtualMachine."""

from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.objects import key_of
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch
from kobune.virt.controllers.revisions import CONTROLLER_REVISIONS
from kobune.virt.controllers.virtualmachine.decide import Observed, decide
from kobune.virt.controllers.virtualmachine.observe import observer

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    machines = process.informers.of(VIRTUAL_MACHINES)
    instances = process.informers.of(VIRTUAL_MACHINE_INSTANCES)
    revisions = process.informers.of(CONTROLLER_REVISIONS)
    return process.add(
        "virtualmachine",
        primary=machines,
        observe=observer(machines, instances, revisions, process.clock),
        decide=decide,
        execute=process.writer.execute,
        # By name, not by owner: an instance in the way matters as well.
        watches=(Watch(instances, lambda vmi: (key_of(vmi),)),),
        reads=(revisions,),
    )
