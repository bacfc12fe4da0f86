"""What all steps of one pod share: what is known of it, how its news are told, and its tasks in the background."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kobune.api.core import Pod
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.context import NodeContext
from kobune.embedded.kubelet.dns import pod_dns
from kobune.embedded.kubelet.memory import Memory
from kobune.embedded.kubelet.render import sandbox_config
from kobune.host.cri import cri_pb2 as pb
from kobune.host.cri.types import ContainerNotFound, CriError
from kobune.kube.runtime.decision import Event, EventType

__all__ = ["PodWork"]

_LOG = logging.getLogger(__name__)


class PodWork:
    """The pod `uid`; `wake` lets its worker look again, `report` tells an event about it and a part of its spec."""

    def __init__(
        self,
        context: NodeContext,
        uid: str,
        memory: Memory,
        wake: Callable[[], None],
        report: Callable[[Pod | None, Event, str], None],
    ) -> None:
        self.context = context
        self.uid = uid
        self.memory = memory
        self.report = report
        self._wake = wake
        self._background: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End background steps without undoing them; the runtime finishes what it was told."""
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def spawn(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Do it in the background, and look at the pod again when it has ended."""

        async def guarded() -> None:
            try:
                await work
            except KobuneError as error:
                _LOG.warning("%s: %s", name, error)
            finally:
                self._wake()

        task = asyncio.create_task(guarded(), name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def guard(self, what: str, work: Awaitable[None]) -> bool:
        """Do it; False when it has to be tried again. What is gone already is no failure."""
        try:
            await work
        except ContainerNotFound:
            return True
        except CriError as error:
            _LOG.warning("pod %s: cannot %s: %s", self.uid, what, error)
            self.memory.failed("", "RuntimeError", str(error), self.context.clock.now())
            return False
        return True

    def failed(
        self, name: str, reason: str, message: str, pod: Pod, *, event: str, prefix: str = "", path: str = ""
    ) -> None:
        """Remember a problem (of a container, or with an empty name of the pod) and tell it."""
        self.memory.failed(name, reason, message, self.context.clock.now())
        self.report(pod, Event(EventType.WARNING, event, prefix + message), path)

    def sandbox_config(self, pod: Pod, attempt: int) -> pb.PodSandboxConfig:
        """The configuration of the pod's sandbox, the same for every call about it."""
        dns = pod_dns(pod, self.context.cluster_dns, self.context.host_dns())
        return sandbox_config(pod, attempt, self.context.paths, dns, self.context.cgroup_root)
