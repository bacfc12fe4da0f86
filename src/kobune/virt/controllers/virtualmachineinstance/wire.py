"""Which changes make the controller look at a VirtualMachineInstance."""

from kobune.kube.client.core import NODES, PERSISTENT_VOLUME_CLAIMS, PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import key_of
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, controller_key
from kobune.virt.controllers.owners import BY_OWNER, owner_uids
from kobune.virt.controllers.virtualmachineinstance.decide import Observed, decide
from kobune.virt.controllers.virtualmachineinstance.observe import BY_CLAIM, by_claim, observer

__all__ = ["LAUNCHER_PODS", "wire"]

LAUNCHER_PODS = "kubevirt.io=virt-launcher"


def wire(process: ControllerProcess, *, launcher_image: str, image_pull_policy: str) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    instances = process.informers.of(VIRTUAL_MACHINE_INSTANCES, indexes={BY_CLAIM: by_claim})
    pods = process.informers.of(PODS, label_selector=LAUNCHER_PODS, indexes={BY_OWNER: owner_uids})
    nodes = process.informers.of(NODES)
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS)
    return process.add(
        "virtualmachineinstance",
        primary=instances,
        observe=observer(instances, pods, nodes, claims, process.clock, launcher_image, image_pull_policy),
        decide=decide,
        execute=process.writer.execute,
        watches=(
            Watch(pods, controller_key("VirtualMachineInstance")),
            Watch(claims, lambda claim: [key_of(vmi) for vmi in instances.by_index(BY_CLAIM, str(key_of(claim)))]),
        ),
        reads=(nodes,),
    )
