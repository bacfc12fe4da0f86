"""Which changes make the controller look at a VirtualMachineInstance."""

from collections.abc import Iterable

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.core import NODES, PERSISTENT_VOLUME_CLAIMS, PODS
from kobune.kube.client.kubevirt import KUBEVIRTS, VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import controller_of, key_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, controller_key
from kobune.virt.controllers.owners import BY_OWNER, owner_uids
from kobune.virt.controllers.virtualmachineinstance.decide import Observed, decide
from kobune.virt.controllers.virtualmachineinstance.observe import BY_CLAIM, by_claim, observer
from kobune.virt.controllers.virtualmachineinstance.refusals import refused
from kobune.virt.domain.hotplug_pod import ATTACHMENT_APP

__all__ = ["LAUNCHER_PODS", "wire"]

LAUNCHER_PODS = "kubevirt.io=virt-launcher"
ATTACHMENT_PODS = f"kubevirt.io={ATTACHMENT_APP}"


def wire(process: ControllerProcess, *, launcher_image: str, image_pull_policy: str) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    instances = process.informers.of(VIRTUAL_MACHINE_INSTANCES, indexes={BY_CLAIM: by_claim})
    pods = process.informers.of(PODS, label_selector=LAUNCHER_PODS, indexes={BY_OWNER: owner_uids})
    attachments = process.informers.of(PODS, label_selector=ATTACHMENT_PODS, indexes={BY_OWNER: owner_uids})
    nodes = process.informers.of(NODES)
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS)
    installations = process.informers.of(KUBEVIRTS)
    return process.add(
        "virtualmachineinstance",
        primary=instances,
        observe=observer(
            instances,
            pods,
            attachments,
            nodes,
            claims,
            installations,
            process.client,
            process.clock,
            launcher_image,
            image_pull_policy,
        ),
        decide=decide,
        execute=process.writer.execute,
        refused=refused,
        watches=(
            Watch(pods, controller_key("VirtualMachineInstance")),
            Watch(attachments, lambda pod: instance_of_attachment(pod, pods)),
            # What it permits decides whether there can be a pod.
            Watch(installations, lambda _: [key_of(vmi) for vmi in instances.list() if is_waiting(vmi)]),
            Watch(claims, lambda claim: [key_of(vmi) for vmi in instances.by_index(BY_CLAIM, str(key_of(claim)))]),
        ),
        reads=(nodes,),
    )


def is_waiting(vmi: VirtualMachineInstance) -> bool:
    """Whether it may have no pod yet."""
    return vmi.status.phase in (None, "", "Pending", "WaitingForSync")


def instance_of_attachment(pod: Pod, launchers: Informer[Pod]) -> Iterable[Key]:
    """The instance whose launcher pod a volume is held for."""
    owner = controller_of(pod)
    launcher = launchers.get(Key(pod.metadata.namespace, owner.name)) if owner is not None else None
    return controller_key("VirtualMachineInstance")(launcher) if launcher is not None else ()
