"""Gathers what a decision about one instance needs. Reads caches; asks the API only when a pod is missing in them."""

import json
from typing import Any, Final

from kobune.api.core import ContainerStateTerminated, Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import Clock
from kobune.host.containerfs.files import NotThere
from kobune.host.procroot import ForeignProcess, ProcessGone
from kobune.kube.client.core import PODS
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.virt.domain.readiness import readiness
from kobune.virt.handler.hotplug.deliver import Delivery, attachments_of
from kobune.virt.handler.hotplug.plan import NOTHING, PlugView, pluggable
from kobune.virt.handler.instance.observed import AttachedNetwork, LauncherPod, Observed
from kobune.virt.handler.launchers import LauncherLink, Launchers, NoLauncher

__all__ = ["ATTACHED_TO", "CREATED_BY", "InstanceObserver", "launcher_pod"]

CREATED_BY: Final = "kubevirt.io/created-by"
"""Label of a launcher pod: the uid of its instance."""
ATTACHED_TO: Final = "attached-to"
"""Index of the pods that hold volumes: by the uid of the launcher pod that they hold them for."""
COMPUTE: Final = "compute"
SIGNALLED: Final = 128
"""A container that ends by a signal has this and the signal's number as its exit code."""
NETWORK_STATUS: Final = "k8s.v1.cni.cncf.io/network-status"


class InstanceObserver:
    """`observe` of the controller; the pod informer needs an index of that name by the label `CREATED_BY`."""

    def __init__(
        self,
        client: Client,
        instances: Informer[VirtualMachineInstance],
        pods: Informer[Pod],
        attachments: Informer[Pod],
        volumes: Delivery,
        launchers: Launchers,
        node: str,
        clock: Clock,
    ) -> None:
        self._client = client
        self._instances = instances
        self._pods = pods
        self._attachments = attachments
        self._volumes = volumes
        self._launchers = launchers
        self._node = node
        self._clock = clock

    async def observe(self, key: Key) -> Observed | None:
        """None when the instance is not on this node (any more)."""
        vmi = self._instances.get(key)
        if vmi is None:
            return None
        link = self._launchers.get(key)
        if link is not None and link.vmi_uid != vmi.metadata.uid:
            link = None
        return Observed(
            now=self._clock.now(),
            node=self._node,
            vmi=vmi,
            pod=await self._pod(vmi),
            launcher=link.view() if link is not None else None,
            volumes=self._plugged(vmi, link) if link is not None and pluggable(vmi) else NOTHING,
        )

    def _plugged(self, vmi: VirtualMachineInstance, link: LauncherLink) -> PlugView | None:
        try:
            attachments = attachments_of(vmi, self._attachments.by_index(ATTACHED_TO, link.pod_uid))
            return self._volumes.view(link.client.peer_pid, link.pod_uid, attachments)
        except (NoLauncher, NotThere, ProcessGone, ForeignProcess):
            return None

    async def _pod(self, vmi: VirtualMachineInstance) -> LauncherPod | None:
        found = list(self._pods.by_index(CREATED_BY, vmi.metadata.uid))
        if not found and vmi.status.phase in ("Scheduled", "Running"):
            # The watch of pods may lag behind that of instances: "gone" ends a guest, so ask who knows.
            page = await self._client.list(
                PODS, vmi.metadata.namespace, label_selector=f"{CREATED_BY}={vmi.metadata.uid}"
            )
            found = [pod for pod in page.items if pod.spec.node_name == self._node]
        pods = [launcher_pod(pod) for pod in found]
        return min(pods, key=lambda pod: (pod.finished, pod.name), default=None)


def launcher_pod(pod: Pod) -> LauncherPod:
    """What matters of a launcher's pod. Pure."""
    compute: Any = next((c for c in pod.status.container_statuses if c.name == COMPUTE), None)
    image = next((container.image for container in pod.spec.containers if container.name == COMPUTE), "")
    terminated = compute.state.terminated if compute is not None else None
    return LauncherPod(
        uid=pod.metadata.uid,
        name=pod.metadata.name,
        ips=tuple(address.ip for address in pod.status.pod_ips) or ((pod.status.pod_ip,) if pod.status.pod_ip else ()),
        finished=terminated is not None or pod.status.phase in ("Succeeded", "Failed"),
        exit_code=terminated.exit_code if terminated is not None else None,
        image=image or "",
        attached=_attached(pod.metadata.annotations.get(NETWORK_STATUS, "")),
        ready=readiness("Running", pod),
        message=(_last_words(terminated) if terminated is not None else "") or pod.status.message,
    )


def _last_words(terminated: ContainerStateTerminated) -> str:
    """Why a container ended. One that was killed wrote nothing about it: the end of its log is about something else."""
    signal_number = terminated.signal or max(terminated.exit_code - SIGNALLED, 0)
    if terminated.reason == "OOMKilled":
        return "the launcher ran out of the memory that its pod may use"
    if signal_number:
        return f"the launcher was killed from outside (signal {signal_number}), or its node went down"
    return terminated.message


def _attached(status: str) -> tuple[AttachedNetwork, ...]:
    """What the pod's network-status says; nothing when it cannot be read: others write it."""
    try:
        entries = json.loads(status or "[]")
        return tuple(
            AttachedNetwork(str(entry["interface"]), tuple(str(ip) for ip in entry.get("ips") or ()), _pci(entry))
            for entry in entries
            if entry.get("interface")
        )
    except (ValueError, TypeError, AttributeError, KeyError):
        return ()


def _pci(entry: dict[str, Any]) -> str:
    """Where the device of an attachment is, by the device information of the network-status standard."""
    device = ((entry.get("device-info") or {}).get("pci") or {}).get("pci-address")
    return str(device or "")
