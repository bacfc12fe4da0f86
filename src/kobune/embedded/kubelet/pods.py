"""All pods of this node: one worker each, fed by the API's watch, the runtime's events and a slow look at everything.

Owns the workers. Orphans (sandboxes and directories whose pod the API does not know) get a worker, too: it ends them.
"""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

from kobune.api.core import Pod
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.context import NodeContext
from kobune.embedded.kubelet.logs import rotate_log
from kobune.embedded.kubelet.model import ContainerState
from kobune.embedded.kubelet.names import POD_UID
from kobune.embedded.kubelet.networks.lost import LostSandboxes
from kobune.embedded.kubelet.worker import PodWorker
from kobune.host.containerd import ContainerdClient, ContainerdError
from kobune.host.cri.types import CriError
from kobune.kube.informer import Informer

__all__ = ["NodePods"]

_LOG = logging.getLogger(__name__)
RELIST_S = 30.0
LOST_LOOK_S = 60.0
"""A safety net only: containerd's events say what happens to containers."""
REFRESH_S = 60.0
LATE_LOOKS_S = (0.03, 0.15, 1.0, 5.0)


class NodePods:
    """The pods of this node and their workers."""

    def __init__(
        self,
        context: NodeContext,
        informer: Informer[Pod],
        containerd: ContainerdClient,
        lost: LostSandboxes | None = None,
    ) -> None:
        self._context = context
        self._informer = informer
        self._containerd = containerd
        self._lost = lost or LostSandboxes()
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._owners: dict[str, str] = {}
        self._running = False

    async def run(self) -> None:
        """Until cancelled. Pods keep running when this ends."""
        await self._informer.wait_synced()
        self._running = True
        self._informer.add_handler(self._changed)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_runtime(), name="containerd events")
                group.create_task(self._relist_always(), name="relist")
                group.create_task(self._refresh_always(), name="volume refresh")
                group.create_task(self._release_lost_always(), name="lost sandboxes")
        finally:
            self._running = False
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a pod that the API knows."""
        for worker in self._workers.values():
            pod = worker.pod
            if pod is not None and (pod.metadata.namespace, pod.metadata.name) == (namespace, name):
                return worker
        return None

    def __iter__(self) -> Iterator[PodWorker]:
        return iter(self._workers.values())

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            worker = self._workers.get(old.metadata.uid)
            if worker is not None:
                worker.removed(old)
        if new is not None:
            worker = self._workers.get(new.metadata.uid)
            if worker is None:
                self._begin(new.metadata.uid, new)
            else:
                worker.update(new)

    def _begin(self, uid: str, pod: Pod | None) -> None:
        if not self._running:
            return
        worker = PodWorker(self._context, uid, pod, self._track)
        self._workers[uid] = worker
        task = asyncio.create_task(worker.run(), name=f"pod {uid}")
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._ended(uid, done))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        worker = self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        self._owners = {known: owner for known, owner in self._owners.items() if owner != uid}
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            # A defect in one pod's worker must not stop the others, nor leave this pod alone.
            _LOG.error("worker of pod %s failed; starting it again", uid, exc_info=failure)
            asyncio.get_running_loop().call_later(1.0, self._begin, uid, worker.pod if worker else None)

    def _track(self, runtime_id: str, uid: str) -> None:
        self._owners[runtime_id] = uid

    async def _follow_runtime(self) -> None:
        while True:
            try:
                async for event in self._containerd.task_events():
                    if event.topic.startswith("/tasks/exec"):
                        continue
                    uid = self._owners.get(event.container_id)
                    worker = self._workers.get(uid) if uid else None
                    if worker is not None:
                        self._wake_for(worker, event.topic)
            except ContainerdError as error:
                _LOG.warning("containerd's events ended: %s", error)
            await asyncio.sleep(1)
            # Whatever was missed meanwhile is found by looking.
            await self._relist()

    def _wake_for(self, worker: PodWorker, topic: str) -> None:
        worker.wake()
        if topic in ("/tasks/exit", "/tasks/delete"):
            # The event is out before CRI has noted the end itself, and no other event follows.
            loop = asyncio.get_running_loop()
            for delay_s in LATE_LOOKS_S:
                loop.call_later(delay_s, worker.wake)

    async def _relist_always(self) -> None:
        while True:
            await self._relist()
            self._rotate_logs()
            await asyncio.sleep(RELIST_S)

    async def _relist(self) -> None:
        try:
            sandboxes = await self._context.cri.list_sandboxes()
        except CriError as error:
            _LOG.warning("the runtime cannot be listed: %s", error)
            return
        known = {sandbox.labels[POD_UID] for sandbox in sandboxes if POD_UID in sandbox.labels}
        if self._context.paths.pods.is_dir():
            known |= {directory.name for directory in self._context.paths.pods.iterdir() if directory.is_dir()}
        for uid in known - self._workers.keys():
            _LOG.info("pod %s is here and not in the API: ending it", uid)
            self._begin(uid, None)
        for worker in self._workers.values():
            worker.wake()

    def _rotate_logs(self) -> None:
        for worker in self._workers.values():
            for container in worker.containers:
                running = container.state is ContainerState.RUNNING and container.log_path
                if running and rotate_log(Path(container.log_path)):
                    self._spawn_reopen(container.id)

    def _spawn_reopen(self, container_id: str) -> None:
        async def reopen() -> None:
            try:
                await self._context.cri.reopen_log(container_id)
            except CriError as error:
                _LOG.warning("the log of container %s cannot be opened again: %s", container_id[:12], error)

        task = asyncio.create_task(reopen())
        self._tasks[f"reopen {container_id}"] = task
        task.add_done_callback(lambda _: self._tasks.pop(f"reopen {container_id}", None))

    async def _release_lost_always(self) -> None:
        while True:
            await asyncio.sleep(LOST_LOOK_S)
            try:
                await self.release_lost()
            except (KobuneError, OSError) as error:
                _LOG.warning("lost sandboxes cannot be looked for, trying again: %s", error)

    async def release_lost(self) -> None:
        """Give back the network of sandboxes that the runtime has lost. Raises CriError, CommandError, OSError."""
        network = self._context.cluster_network
        now_s = self._context.clock.monotonic_s()
        owners = await network.owners()
        listed = [sandbox.id for sandbox in await self._context.cri.list_sandboxes()]
        for sandbox_id in self._lost.look(owners, listed, now_s):
            try:
                await network.release(sandbox_id)
            except (KobuneError, OSError) as error:
                _LOG.warning("network of lost sandbox %s stays, trying again: %s", sandbox_id[:12], error)

    async def _refresh_always(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            for worker in list(self._workers.values()):
                try:
                    await worker.refresh_volumes()
                    await worker.check_limits()
                except (KobuneError, OSError) as error:
                    _LOG.warning("volumes of pod %s are not refreshed: %s", worker.uid, error)
