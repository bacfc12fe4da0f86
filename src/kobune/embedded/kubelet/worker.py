"""The loop of one pod: observe, decide, apply, again when something changed or a time has come.

Owns what the worker remembers and the probes of the pod's containers. One worker per pod uid, whether the API, the
runtime or only a directory on disk knows the pod; a worker ends when nothing of its pod is left.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kobune.api.core import Pod
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.context import NodeContext
from kobune.embedded.kubelet.decide import decide
from kobune.embedded.kubelet.logs import last_lines
from kobune.embedded.kubelet.memory import Memory
from kobune.embedded.kubelet.model import (
    ContainerInfo,
    ContainerState,
    FinishDeletion,
    PodObserved,
    PodPlan,
    Problem,
    SandboxInfo,
)
from kobune.embedded.kubelet.names import (
    MESSAGE_FILE_ANNOTATION,
    MESSAGE_POLICY_ANNOTATION,
    POD_NAME,
    POD_NAMESPACE,
    POD_UID,
)
from kobune.embedded.kubelet.probes import ContainerProbes
from kobune.embedded.kubelet.status import may_wait_s, status_patch
from kobune.embedded.kubelet.steps import PodSteps
from kobune.embedded.kubelet.volumes.usage import over_limit
from kobune.host.cri.types import ContainerNotFound, CriError
from kobune.kube.client.core import PODS
from kobune.kube.client.errors import ApiError, Conflict, NotFound
from kobune.kube.client.objects import revision
from kobune.kube.client.types import Patch
from kobune.kube.runtime import Reference
from kobune.kube.runtime.decision import Event, EventType

__all__ = ["PodWorker"]

_LOG = logging.getLogger(__name__)
MESSAGE_LIMIT_BYTES = 4096
MESSAGE_LOG_LINES = 80
MESSAGE_LOG_BYTES = 2048
RETRY_S = 1.0
REPEAT_S = 10.0
"""The same event about the same pod is told again after this at the earliest."""


class PodWorker:
    """Works on one pod until nothing of it is left."""

    def __init__(self, context: NodeContext, uid: str, pod: Pod | None, track: Callable[[str, str], None]) -> None:
        self.uid = uid
        self.pod = pod
        self.ips: tuple[str, ...] = ()
        self.containers: tuple[ContainerInfo, ...] = ()
        self.sandboxes: tuple[SandboxInfo, ...] = ()
        self._context = context
        self._track = track
        self._memory = Memory(networks=None if context.networks.known(uid) else "")
        self._wake = asyncio.Event()
        self._ended: dict[str, ContainerInfo] = {}
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._told: dict[tuple[str, str], float] = {}
        # Since when the status in the API is not what it should be, and may be so for a while.
        self._owed_since_s: float | None = None
        self._steps = PodSteps(context, uid, self._memory, self.wake, self._report, track)

    def wake(self) -> None:
        """Look at the pod again, soon."""
        self._wake.set()

    def update(self, pod: Pod) -> None:
        """The API shows the pod; a version older than what our own last write returned is no news."""
        if self.pod is not None and self.pod.metadata.uid == pod.metadata.uid:
            known, shown = (revision(own.metadata.resource_version) for own in (self.pod, pod))
            if known is not None and shown is not None and shown < known:
                return
        self.pod = pod
        self.wake()

    def removed(self, last: Pod) -> None:
        """The API has forgotten the pod: end it, with the grace that its deletion gave."""
        self._memory.final_grace_s = last.metadata.deletion_grace_period_seconds
        self.pod = None
        self.wake()

    async def run(self) -> None:
        """Until nothing is left of the pod, or cancelled."""
        try:
            while not self._steps.forgotten:
                self._wake.clear()
                try:
                    delay_s = await self._pass()
                except (KobuneError, OSError) as error:
                    _LOG.warning("pod %s: %s", self._name(), error)
                    delay_s = RETRY_S
                if delay_s is None or delay_s > 0:
                    await self._rest(delay_s)
        finally:
            await self._steps.close()
            for probes in list(self._memory.probes.values()):
                await probes.close()

    async def _rest(self, delay_s: float | None) -> None:
        """Until something happens, or the time is over."""
        if delay_s is None:
            await self._wake.wait()
            return
        waits = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._context.clock.sleep(delay_s))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def refresh_volumes(self) -> None:
        """Bring mounted ConfigMaps, Secrets and tokens up to date."""
        pod = self.pod
        if pod is None or not self._memory.volumes_ready or pod.metadata.deletion_timestamp is not None:
            return
        objects = self._context.objects
        given = await objects.dependencies(pod, self.ips)
        self._context.volumes.refresh(pod, given, await objects.tokens(pod))

    async def check_limits(self) -> None:
        """Evict the pod when it has written more to a volume of the node's disk than that may hold."""
        pod, memory = self.pod, self._memory
        if pod is None or not memory.volumes_ready or memory.rejected is not None or memory.torn_down:
            return
        message = await asyncio.to_thread(over_limit, pod, self._context.paths)
        if message:
            memory.rejected = Problem("Evicted", message, self._context.clock.now())
            self._report(pod, Event(EventType.WARNING, "Evicted", message), "")
            self.wake()

    async def _pass(self) -> float | None:
        """One look; seconds until the next one, None for when something happens."""
        seen = await self._observe()
        plan = decide(seen)
        for event in plan.events:
            self._report(seen.pod, event, "")
        finishing = any(isinstance(action, FinishDeletion) for action in plan.actions)
        if finishing:
            # The object must show how the pod ended before it goes.
            await self._write_status(seen, plan)
        complete = True
        for action in plan.actions:
            _LOG.debug("pod %s: %s", self._name(), action)
            if not await self._steps.execute(seen, action):
                complete = False
                break
        wait_s = None
        if not finishing:
            wait_s = await self._write_status(seen, plan, patient=True)
        if self._steps.forgotten:
            return 0
        if not complete:
            return RETRY_S / 2
        if finishing:
            return 5 * RETRY_S
        if plan.actions:
            return 0
        waits = [] if plan.requeue_after is None else [plan.requeue_after.total_seconds()]
        return min([*waits, *([] if wait_s is None else [wait_s])], default=None)

    # ---- observing ----

    async def _observe(self) -> PodObserved:
        cri = self._context.cri
        labels = {POD_UID: self.uid}
        sandboxes = sorted(await cri.list_sandboxes(labels), key=lambda own: (-own.attempt, -own.created_at_ns))
        listed = sorted(await cri.list_containers(labels), key=lambda own: (-own.attempt, -own.created_at_ns))
        containers = [full for container in listed if (full := await self._full(container)) is not None]
        if sandboxes and sandboxes[0].ready:
            sandboxes[0] = await self._with_addresses(sandboxes[0])
        for runtime_id in [sandbox.id for sandbox in sandboxes] + [container.id for container in containers]:
            self._track(runtime_id, self.uid)
        present = {container.id for container in containers}
        self._ended = {known: own for known, own in self._ended.items() if known in present}
        self._memory.messages = {known: text for known, text in self._memory.messages.items() if known in present}
        self.sandboxes, self.containers = tuple(sandboxes), tuple(containers)
        self.ips = sandboxes[0].ips if sandboxes else ()
        await self._sync_probes()
        return PodObserved(
            uid=self.uid,
            pod=self.pod,
            sandboxes=self.sandboxes,
            containers=self.containers,
            now=self._context.clock.now(),
            memory=self._memory.frozen(),
            host_ip=self._context.facts.host_ip,
        )

    async def _full(self, listed: ContainerInfo) -> ContainerInfo | None:
        """With times and exit code; what has ended does not change any more."""
        known = self._ended.get(listed.id)
        if known is not None:
            return known
        try:
            status = await self._context.cri.container(listed.id)
        except ContainerNotFound:
            return None
        full = replace(status, sandbox_id=listed.sandbox_id)
        if full.state is ContainerState.EXITED:
            self._ended[full.id] = full
            message = _termination_message(full)
            if message:
                self._memory.messages[full.id] = message
        return full

    async def _with_addresses(self, sandbox: SandboxInfo) -> SandboxInfo:
        if self._memory.primary_ips:
            return replace(sandbox, ips=self._memory.primary_ips)
        known = self._addresses.get(sandbox.id)
        if known:
            return replace(sandbox, ips=known)
        try:
            full = await self._context.cri.sandbox(sandbox.id)
        except CriError:
            return sandbox
        if full.ips:
            self._addresses[sandbox.id] = full.ips
        return full

    async def _sync_probes(self) -> None:
        """Probe exactly the containers that run and have probes."""
        pod = self.pod
        wanted: set[str] = set()
        if pod is not None and pod.metadata.deletion_timestamp is None:
            for container in [*pod.spec.init_containers, *pod.spec.containers]:
                if not (container.startup_probe or container.liveness_probe or container.readiness_probe):
                    continue
                running = next((own for own in self.containers if own.name == container.name), None)
                if running is None or running.state is not ContainerState.RUNNING:
                    continue
                wanted.add(container.name)
                known = self._memory.probes.get(container.name)
                if known is not None and known.container_id == running.id:
                    continue
                if known is not None:
                    await known.close()
                ip = self._context.facts.host_ip if pod.spec.host_network else next(iter(self.ips), "")
                path = f"spec.containers{{{container.name}}}"
                self._memory.probes[container.name] = ContainerProbes(
                    self._context.cri, container, running.id, ip, self.wake, _reporter(self._report, pod, path)
                )
        for name in [name for name in self._memory.probes if name not in wanted]:
            await self._memory.probes.pop(name).close()

    # ---- telling ----

    async def _write_status(self, seen: PodObserved, plan: PodPlan, *, patient: bool = False) -> float | None:
        """Bring the API's status up to date; how many seconds that may still wait, None when there is nothing left."""
        if seen.pod is None or plan.status is None:
            return None
        # The newest version that the API has shown: it may have come while the actions ran.
        pod = self.pod
        if pod is None or pod.metadata.uid != seen.pod.metadata.uid:
            return None
        changes = status_patch(plan.status, pod.status)
        if changes is None:
            self._owed_since_s = None
            return None
        may_wait = may_wait_s(pod.status, plan.status) if patient else 0.0
        if may_wait > 0:
            now_s = self._context.clock.monotonic_s()
            if self._owed_since_s is None:
                self._owed_since_s = now_s
            left_s = self._owed_since_s + may_wait - now_s
            if left_s > 0:
                return left_s
        meta = pod.metadata
        patch = Patch.merge({"metadata": {"uid": meta.uid}, "status": changes})
        try:
            written = await self._context.client.patch(PODS, meta.name, patch, meta.namespace, subresource="status")
        except (NotFound, Conflict):
            # It is gone, or another pod has its name: the watch will say so.
            return None
        except ApiError as error:
            _LOG.warning("status of pod %s cannot be written, trying again: %s", self._name(), error)
            return RETRY_S
        self._owed_since_s = None
        if self.pod is pod:
            self.pod = written
        return None

    def _report(self, pod: Pod | None, event: Event, path: str) -> None:
        pod = pod or self.pod
        if pod is None:
            return
        now_s = self._context.clock.monotonic_s()
        key = (event.reason, event.message + path)
        if now_s - self._told.get(key, -REPEAT_S) < REPEAT_S:
            return
        self._told = {known: at_s for known, at_s in self._told.items() if now_s - at_s < REPEAT_S}
        self._told[key] = now_s
        self._context.events.record(Reference.to(PODS, pod, path), event)

    def _name(self) -> str:
        if self.pod is not None:
            return f"{self.pod.metadata.namespace}/{self.pod.metadata.name}"
        for sandbox in self.sandboxes:
            return f"{sandbox.labels.get(POD_NAMESPACE)}/{sandbox.labels.get(POD_NAME)} (gone from the API)"
        return self.uid


def _reporter(report: Callable[[Pod | None, Event, str], None], pod: Pod, path: str) -> Callable[[Event], None]:
    return lambda event: report(pod, event, path)


def _termination_message(ended: ContainerInfo) -> str:
    """What the container left in its termination message file, or the end of its log when the policy says so."""
    text = ""
    file = ended.annotations.get(MESSAGE_FILE_ANNOTATION)
    if file:
        with contextlib.suppress(OSError), Path(file).open("rb") as stream:
            text = stream.read(MESSAGE_LIMIT_BYTES).decode("utf-8", "replace")
    policy = ended.annotations.get(MESSAGE_POLICY_ANNOTATION)
    if not text and policy == "FallbackToLogsOnError" and ended.exit_code != 0 and ended.log_path:
        text = last_lines(Path(ended.log_path), MESSAGE_LOG_LINES, MESSAGE_LOG_BYTES)
    return text
