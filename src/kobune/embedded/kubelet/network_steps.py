"""One pod's steps with its networks: attach further ones, tell, release, end the sandbox. Decides nothing."""

import contextlib
import logging
from collections.abc import Callable

from kobune.api.core import Pod
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.context import NodeContext
from kobune.embedded.kubelet.memory import Memory
from kobune.embedded.kubelet.model import NETWORKS_PROBLEM, PodObserved
from kobune.embedded.kubelet.networks.selection import NETWORK_STATUS, asked_networks
from kobune.host.cri.types import ContainerNotFound
from kobune.kube.client.core import PODS
from kobune.kube.client.errors import Conflict, NotFound
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Event, EventType

__all__ = ["NetworkSteps"]

_LOG = logging.getLogger(__name__)
FAILED = "FailedCreatePodSandBox"


class NetworkSteps:
    """The pod `uid`; what is attached is remembered in `memory`, and on disk by the attachments."""

    def __init__(
        self, context: NodeContext, uid: str, memory: Memory, report: Callable[[Pod | None, Event, str], None]
    ) -> None:
        self._context = context
        self._uid = uid
        self._memory = memory
        self._report = report

    async def attach(self, seen: PodObserved, sandbox_id: str) -> bool:
        """Make the sandbox have what the annotations ask for, and say so in the pod's network-status."""
        assert seen.pod is not None
        pod, context = seen.pod, self._context
        asked = asked_networks(pod)
        begun = any(container.sandbox_id == sandbox_id for container in seen.containers)
        try:
            namespace = await context.cri.sandbox_network_namespace(sandbox_id)
            outcome = await context.networks.converge(pod, sandbox_id, namespace)
            await self._tell(pod, outcome.status if asked else "")
        except (KobuneError, OSError) as error:
            self._failed(pod, begun, error)
            return False
        for line in outcome.added:
            self._report(pod, Event(EventType.NORMAL, "AddedInterface", line), "")
        for line in outcome.removed:
            self._report(pod, Event(EventType.NORMAL, "RemovedInterface", line), "")
        self._memory.solved(NETWORKS_PROBLEM)
        self._memory.solved("")
        self._memory.primary_ips = outcome.primary_ips
        self._memory.networks = asked
        return True

    async def release(self) -> bool:
        """Detach everything; False when it has to be tried again."""
        try:
            await self._context.networks.release(self._uid)
        except (KobuneError, OSError) as error:
            _LOG.warning("networks of pod %s cannot be removed yet: %s", self._uid, error)
            self._memory.failed("", "FailedKillPod", str(error), self._context.clock.now())
            return False
        # Another sandbox starts without them.
        self._memory.networks = ""
        self._memory.primary_ips = ()
        return True

    async def stop_sandbox(self, sandbox_id: str) -> bool:
        """Stop a sandbox and give back all of its networks; False when it has to be tried again."""
        # While the namespace is there, and before the runtime gives back what it has made itself.
        if not await self.release():
            return False
        try:
            with contextlib.suppress(ContainerNotFound):
                await self._context.cri.stop_sandbox(sandbox_id)
            await self._context.cluster_network.stopped(sandbox_id)
        except KobuneError as error:
            _LOG.warning("pod %s: cannot stop sandbox %s, trying again: %s", self._uid, sandbox_id[:12], error)
            self._memory.failed("", "FailedKillPod", str(error), self._context.clock.now())
            return False
        self._memory.stopped_sandboxes.add(sandbox_id)
        return True

    def _failed(self, pod: Pod, begun: bool, error: Exception) -> None:
        now = self._context.clock.now()
        if begun:
            # What runs goes on running.
            self._memory.failed(NETWORKS_PROBLEM, "FailedAttachNetwork", str(error), now)
            self._report(pod, Event(EventType.WARNING, "FailedAttachNetwork", str(error)), "")
            return
        message = f"Failed to create pod sandbox: failed to set up the pod's networks: {error}"
        self._memory.failed("", FAILED, message, now)
        self._report(pod, Event(EventType.WARNING, FAILED, message), "")

    async def _tell(self, pod: Pod, status: str) -> None:
        if pod.metadata.annotations.get(NETWORK_STATUS, "") == status:
            return
        meta = pod.metadata
        patch = Patch.merge({"metadata": {"uid": meta.uid, "annotations": {NETWORK_STATUS: status or None}}})
        try:
            await self._context.client.patch(PODS, meta.name, patch, meta.namespace, subresource="status")
        except (NotFound, Conflict):
            # It is gone, or another pod has its name: the watch will say so.
            return
