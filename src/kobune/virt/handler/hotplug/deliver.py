"""Carries volumes from the pods that hold them into the launcher's container, and out of it again.

Owns where they are in either container. Everything is looked up anew (nothing is remembered), and every step can be
repeated; what a container was given ends with the container, whoever has died before.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.errors import KobuneError, RetryableError
from kobune.host.containerfs.files import ContainerFiles
from kobune.host.procroot import HeldProcess
from kobune.virt.domain.hotplug import claim_of, held_volumes
from kobune.virt.domain.hotplug_pod import VOLUME_LABEL, device_in_attachment, folder_in_attachment
from kobune.virt.domain.paths import HOTPLUG_DEVICES, HOTPLUG_DISKS
from kobune.virt.handler.hotplug.plan import Attachment, Bring, PlugView, VolumePlan
from kobune.virt.handler.network.model import QEMU_ID
from kobune.virt.handler.network.setup import HoldInPod

__all__ = ["QUIET_RETRY_S", "Delivery", "attachments_of"]

log = logging.getLogger(__name__)

QUIET_RETRY_S: Final = 0.3


class Delivery:
    """For all instances of this node. `pid` is a process in the launcher's container, which `hold` makes sure of."""

    def __init__(self, files: ContainerFiles, hold: HoldInPod) -> None:
        self._files = files
        self._hold = hold

    def view(self, pid: int, pod_uid: str, attachments: Mapping[str, Attachment]) -> PlugView:
        """What there is. Raises ProcessGone when the launcher's process has ended, and ForeignProcess."""
        launcher = self._hold(pid, pod_uid)
        return PlugView(
            attachments,
            frozenset(self._files.mounts(launcher, HOTPLUG_DISKS)),
            self._files.block_devices(launcher, HOTPLUG_DEVICES),
        )

    async def carry_out(self, pid: int, pod_uid: str, plan: VolumePlan) -> None:
        """Bring and take what the plan says; a failure with one volume holds up no other, and is raised at the end."""
        launcher = self._hold(pid, pod_uid)
        failures: list[str] = []
        for bring in plan.bring:
            try:
                await self._bring(launcher, bring)
                log.info("volume %s is in the container of process %d", bring.volume, pid)
            except (KobuneError, OSError) as error:
                failures.append(f"volume {bring.volume}: {error}")
        for name in plan.take:
            try:
                await self._take(launcher, name)
                log.info("volume %s has left the container of process %d", name, pid)
            except (KobuneError, OSError) as error:
                failures.append(f"volume {name}: {error}")
        if failures:
            raise RetryableError("; ".join(failures))

    async def _bring(self, launcher: HeldProcess, bring: Bring) -> None:
        if bring.block:
            path = device_in_attachment(bring.volume)
            _, numbers = await asyncio.to_thread(self._files.process_with_device, bring.pod_uid, path)
            await self._files.make_device(launcher, f"{HOTPLUG_DEVICES}/{bring.volume}", numbers, QEMU_ID)
        else:
            path = folder_in_attachment(bring.volume)
            source = await asyncio.to_thread(self._files.process_with_mount, bring.pod_uid, path)
            await self._files.mount(source, path, launcher, f"{HOTPLUG_DISKS}/{bring.volume}")

    async def _take(self, launcher: HeldProcess, name: str) -> None:
        numbers = self._files.block_devices(launcher, HOTPLUG_DEVICES).get(name)
        if numbers is not None:
            await self._files.remove_device(launcher, f"{HOTPLUG_DEVICES}/{name}", numbers)
        if name in self._files.mounts(launcher, HOTPLUG_DISKS):
            await self._files.unmount(launcher, f"{HOTPLUG_DISKS}/{name}")


def attachments_of(vmi: VirtualMachineInstance, pods: Iterable[Pod]) -> dict[str, Attachment]:
    """The pods that hold volumes, by volume. Pure.

    A pod counts only in the instance's own namespace, and only with the claim that the instance names: labels and owner
    references can be written by anybody who may make a pod anywhere.
    """
    found: dict[str, Attachment] = {}
    claims = {name: claim_of(volume) for name, volume in held_volumes(vmi.spec).items()}
    own = [pod for pod in pods if pod.metadata.namespace == vmi.metadata.namespace]
    for pod in sorted(own, key=lambda pod: pod.metadata.deletion_timestamp is None):
        name = pod.metadata.labels.get(VOLUME_LABEL, "")
        container: Any = next(iter(pod.spec.containers), None)
        if container is not None and name in claims and _holds(pod, name, claims[name]):
            found[name] = Attachment(
                name=pod.metadata.name,
                uid=pod.metadata.uid,
                usable=pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None,
                block=any(device.name == name for device in container.volume_devices),
            )
    return found


def _holds(pod: Pod, name: str, claim: str) -> bool:
    sources = (volume.persistent_volume_claim for volume in pod.spec.volumes if volume.name == name)
    return any(source is not None and source.claim_name == claim for source in sources)
