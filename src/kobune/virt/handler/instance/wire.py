"""What brings an instance's key into the queue: the instance, its pod, its launcher's line, its DHCP server."""

import asyncio
from pathlib import Path
from typing import Any, Final

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.host.containerfs.files import ContainerFiles
from kobune.host.procroot import HeldProcess
from kobune.kube.client.core import PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import controller_of, key_of, uid_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer, by_controller_uid, by_label
from kobune.kube.runtime import Controller, ControllerProcess, Watch, controller_key
from kobune.virt.domain.hotplug_pod import ATTACHMENT_APP
from kobune.virt.handler.capabilities import CapabilityCache
from kobune.virt.handler.devices.kvm import KvmProof
from kobune.virt.handler.hotplug.deliver import Delivery
from kobune.virt.handler.instance.actions import HandlerAction
from kobune.virt.handler.instance.apply import InstanceExecutor
from kobune.virt.handler.instance.decide import decide
from kobune.virt.handler.instance.observe import ATTACHED_TO, CREATED_BY, InstanceObserver, launcher_pod
from kobune.virt.handler.instance.observed import Observed
from kobune.virt.handler.launchers import Launchers
from kobune.virt.handler.network.setup import GuestNetworks, HoldInPod

__all__ = ["InstanceController"]

NODE_LABEL: Final = "kubevirt.io/nodeName"
LAUNCHER_LABEL: Final = "kubevirt.io=virt-launcher"
WORKERS: Final = 8
NETWORK_RETRY_S: Final = 1.0
_created_by = by_label(CREATED_BY)


class InstanceController:
    """The controller of this node's instances with what it shares with the server and the clean-up."""

    def __init__(
        self,
        process: ControllerProcess,
        node: str,
        kubelet_root: Path,
        networks: GuestNetworks,
        kvm: KvmProof,
        files: ContainerFiles,
        capabilities: CapabilityCache,
        hold: HoldInPod = HeldProcess.of_group,
    ) -> None:
        self.instances: Informer[VirtualMachineInstance] = process.informers.of(
            VIRTUAL_MACHINE_INSTANCES, label_selector=f"{NODE_LABEL}={node}"
        )
        self.pods: Informer[Pod] = process.informers.of(
            PODS,
            label_selector=LAUNCHER_LABEL,
            field_selector=f"spec.nodeName={node}",
            indexes={CREATED_BY: _created_by},
        )
        attachments: Informer[Pod] = process.informers.of(
            PODS,
            label_selector=f"kubevirt.io={ATTACHMENT_APP}",
            field_selector=f"spec.nodeName={node}",
            indexes={ATTACHED_TO: by_controller_uid},
        )
        volumes = Delivery(files, hold)
        self.launchers = Launchers(kubelet_root, process.clock, self._changed)
        observer = InstanceObserver(
            process.client, self.instances, self.pods, attachments, volumes, self.launchers, node, process.clock
        )
        executor = InstanceExecutor(
            process.writer, self.launchers, networks, kvm, capabilities, volumes, process.clock, hold
        )
        self.controller: Controller[Observed, HandlerAction] = process.add(
            "virt-handler",
            primary=self.instances,
            observe=observer.observe,
            decide=decide,
            execute=executor.execute,
            watches=(
                Watch(self.pods, controller_key("VirtualMachineInstance")),
                Watch(attachments, self._instance_of_attachment),
            ),
            workers=WORKERS,
        )
        self.instances.add_handler(self._forget_deleted)
        self._capabilities = capabilities
        self._seeding: set[asyncio.Task[bool]] = set()
        self.pods.add_handler(self._seed)

    def _instance_of_attachment(self, pod: Pod) -> list[Key]:
        """The instance of the launcher pod that a volume is held for."""
        owner = controller_of(pod)
        launchers = (launcher for launcher in self.pods.list() if owner and launcher.metadata.uid == owner.uid)
        return [key for launcher in launchers for key in controller_key("VirtualMachineInstance")(launcher)]

    def network_lost(self, pod_uid: str) -> None:
        """What served a pod's network has ended: have it made complete again."""
        for pod in self.pods.list():
            if pod.metadata.uid == pod_uid:
                for key in controller_key("VirtualMachineInstance")(pod):
                    link = self.launchers.get(key)
                    if link is not None:
                        link.network_ready = False
                    # Not at once: a server that ends as soon as it was started must not keep a worker busy.
                    self.controller.queue.add_after(key, NETWORK_RETRY_S)

    def _seed(self, old: Pod | None, new: Pod | None) -> None:
        """A pod was bound to this node: its containers start within a fraction of a second."""
        if old is not None or new is None or new.status.container_statuses:
            return
        task = asyncio.create_task(self._capabilities.seed(new.metadata.uid, launcher_pod(new).image))
        self._seeding.add(task)
        task.add_done_callback(self._seeding.discard)

    def _changed(self, key: Key) -> None:
        self.controller.queue.add(key)

    def _forget_deleted(self, old: Any, new: Any) -> None:
        if new is None or (old is not None and uid_of(old) != uid_of(new)):
            self.launchers.forget(key_of(old))
