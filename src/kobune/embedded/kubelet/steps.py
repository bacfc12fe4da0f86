"""Carries out one pod's steps: calls the runtime, the volumes, the API. Decides nothing.

Long steps (pulling an image, stopping a container) run in the background and wake the pod's worker when they end.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable
from typing import assert_never

from kobune.api.core import Pod
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.container_steps import ContainerSteps
from kobune.embedded.kubelet.context import NodeContext
from kobune.embedded.kubelet.memory import Memory
from kobune.embedded.kubelet.model import (
    AttachNetworks,
    FinishDeletion,
    ForgetPod,
    KillContainer,
    PodAction,
    PodObserved,
    PrepareVolumes,
    Problem,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    RunSandbox,
    StartContainer,
    StopSandbox,
    TearDownVolumes,
)
from kobune.embedded.kubelet.network_steps import NetworkSteps
from kobune.embedded.kubelet.pod_work import PodWork
from kobune.embedded.kubelet.pulling import pull_failed
from kobune.embedded.kubelet.render import cgroup_parent
from kobune.embedded.kubelet.volumes.provision import ImageVolumeError, VolumeError
from kobune.host.cri.types import CriError
from kobune.kube.client.core import PODS
from kobune.kube.client.errors import ApiError, Conflict, NotFound
from kobune.kube.client.types import Preconditions
from kobune.kube.runtime.decision import Event

__all__ = ["PodSteps"]

_LOG = logging.getLogger(__name__)


class PodSteps:
    """The executor of one pod's plan."""

    def __init__(
        self,
        context: NodeContext,
        uid: str,
        memory: Memory,
        wake: Callable[[], None],
        report: Callable[[Pod | None, Event, str], None],
        track: Callable[[str, str], None],
    ) -> None:
        self._context, self._uid, self._memory, self._report = context, uid, memory, report
        self._work = PodWork(context, uid, memory, wake, report)
        self._containers = ContainerSteps(self._work, track)
        self._networks = NetworkSteps(context, uid, memory, report)
        self._preparing: asyncio.Task[None] | None = None
        self.forgotten = False

    async def execute(self, seen: PodObserved, action: PodAction) -> bool:
        """Do one step; False stops the plan: the step failed, or the rest needs a new look."""
        match action:
            case PrepareVolumes():
                assert seen.pod is not None
                self._memory.preparing = True
                self._preparing = self._work.spawn(self._prepare_volumes(seen.pod), f"volumes of {self._uid}")
                return True
            case RunSandbox():
                return await self._run_sandbox(seen, action)
            case AttachNetworks(sandbox_id=sandbox_id):
                return await self._networks.attach(seen, sandbox_id)
            case PullImage():
                self._containers.pull(seen, action.container)
                return True
            case StartContainer():
                return await self._containers.start(seen, action)
            case KillContainer():
                self._containers.kill(seen, action)
                return True
            case RemoveContainer():
                return await self._work.guard(
                    "remove container", self._context.cri.remove_container(action.container_id)
                )
            case StopSandbox():
                return await self._networks.stop_sandbox(action.sandbox_id)
            case RemoveSandbox():
                return await self._work.guard("remove sandbox", self._context.cri.remove_sandbox(action.sandbox_id))
            case TearDownVolumes():
                return await self._tear_down()
            case FinishDeletion():
                return await self._finish_deletion(seen)
            case ForgetPod():
                self._forget(seen)
                return False
            case _:
                assert_never(action)

    async def close(self) -> None:
        """End background steps without undoing them; the runtime finishes what it was told."""
        await self._work.close()

    # ---- steps ----

    async def _prepare_volumes(self, pod: Pod) -> None:
        context = self._context
        try:
            given = await context.objects.dependencies(pod)
            tokens = await context.objects.tokens(pod)
            self._memory.volumes = await context.volumes.prepare(pod, given, tokens)
        except ImageVolumeError as error:
            # Told as for a container's own image, which is what people look for.
            what, now = f"image volume {error.reference}", context.clock.now()
            view, events = pull_failed(self._memory, what, error.reference, error.reason, str(error), now)
            for event in events:
                self._report(pod, event, "")
            self._memory.problems[""] = Problem(view.reason, view.message, view.retry_at or now)
        except (KobuneError, OSError) as error:
            known = isinstance(error, VolumeError | ApiError)
            message = str(error) if known else f"MountVolume.SetUp failed: {error}"
            self._work.failed("", "FailedMount", message, pod, event="FailedMount")
        else:
            self._memory.solved("")
            for volume in pod.spec.volumes:
                if volume.image is not None:
                    self._memory.solved(f"image volume {volume.image.reference}")
            self._memory.volumes_ready = True
        finally:
            self._memory.preparing = False

    async def _run_sandbox(self, seen: PodObserved, action: RunSandbox) -> bool:
        assert seen.pod is not None
        pod = seen.pod
        config = self._work.sandbox_config(pod, action.attempt)
        context = self._context
        context.paths.logs(pod.metadata.namespace, pod.metadata.name, self._uid).mkdir(
            parents=True, exist_ok=True, mode=0o755
        )
        try:
            await context.cri.run_sandbox(config)
        except CriError as error:
            message = f"Failed to create pod sandbox: rpc error: code = {error.code} desc = {error.message}"
            self._work.failed("", "FailedCreatePodSandBox", message, pod, event="FailedCreatePodSandBox")
            return False
        self._memory.solved("")
        return True

    async def _tear_down(self) -> bool:
        context = self._context
        if self._preparing is not None and not self._preparing.done():
            # It must not mount anything behind our back.
            self._preparing.cancel()
            await asyncio.gather(self._preparing, return_exceptions=True)
            self._memory.preparing = False
        if not await self._networks.release():
            return False
        try:
            await context.volumes.tear_down(self._uid)
        except (KobuneError, OSError) as error:
            _LOG.warning("volumes of pod %s cannot be removed yet: %s", self._uid, error)
            self._memory.failed("", "FailedUnmount", str(error), context.clock.now())
            return False
        context.cgroups.remove(cgroup_parent(context.cgroup_root, self._uid))
        context.devices.free(self._uid)
        context.objects.forget(self._uid)
        self._memory.volumes_ready = False
        self._memory.torn_down = True
        return True

    async def _finish_deletion(self, seen: PodObserved) -> bool:
        assert seen.pod is not None
        meta = seen.pod.metadata
        try:
            await self._context.client.delete(
                PODS, meta.name, meta.namespace, grace_period_s=0, preconditions=Preconditions(uid=meta.uid)
            )
        except (NotFound, Conflict):
            return True
        except ApiError as error:
            _LOG.warning("pod %s/%s cannot be removed from the API yet: %s", meta.namespace, meta.name, error)
            self._memory.failed("", "FailedDelete", str(error), self._context.clock.now())
            return False
        return True

    def _forget(self, seen: PodObserved) -> None:
        self._context.cgroups.remove(cgroup_parent(self._context.cgroup_root, self._uid))
        for directory in self._context.paths.pod_logs.glob(f"*_{self._uid}"):
            shutil.rmtree(directory, ignore_errors=True)
        self.forgotten = True
