"""Carries out one pod's steps: calls the runtime, the volumes, the API. Decides nothing.

Long steps (pulling an image, stopping a container) run in the background and wake the pod's worker when they end.
"""

import asyncio
import logging
import posixpath
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import assert_never

from kobune.api.core import Container, Pod
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.context import NodeContext
from kobune.embedded.kubelet.dns import pod_dns
from kobune.embedded.kubelet.environment import ConfigError
from kobune.embedded.kubelet.hooks import run_hook
from kobune.embedded.kubelet.images import ImageError
from kobune.embedded.kubelet.memory import Memory
from kobune.embedded.kubelet.model import (
    AttachNetworks,
    FinishDeletion,
    ForgetPod,
    ImageView,
    ImageViewState,
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
    all_containers,
)
from kobune.embedded.kubelet.networks.steps import NetworkSteps
from kobune.embedded.kubelet.pulling import pull_failed
from kobune.embedded.kubelet.render import ContainerInput, cgroup_parent, container_config, sandbox_config
from kobune.embedded.kubelet.stepwords import field_path, hosts_text, pulled_message, start_reason, target_id
from kobune.embedded.kubelet.volumes.provision import ImageVolumeError, VolumeError, make_sub_path
from kobune.host.cri import cri_pb2 as pb
from kobune.host.cri.types import ContainerNotFound, CriError
from kobune.kube.client.core import PODS
from kobune.kube.client.errors import ApiError, Conflict, NotFound
from kobune.kube.client.types import Preconditions
from kobune.kube.runtime.decision import Event, EventType

__all__ = ["PodSteps"]

_LOG = logging.getLogger(__name__)
MIN_STOP_S = 2
"""A container gets at least this after its preStop hook has used up the grace."""
POST_START_LIMIT_S = 60.0


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
        self._context = context
        self._uid = uid
        self._memory = memory
        self._wake = wake
        self._report = report
        self._track = track
        self._networks = NetworkSteps(context, uid, memory, report)
        self._background: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.Task[None] | None = None
        self.forgotten = False

    async def execute(self, seen: PodObserved, action: PodAction) -> bool:
        """Do one step; False stops the plan: the step failed, or the rest needs a new look."""
        match action:
            case PrepareVolumes():
                assert seen.pod is not None
                self._memory.preparing = True
                self._preparing = self._spawn(self._prepare_volumes(seen.pod), f"volumes of {self._uid}")
                return True
            case RunSandbox():
                return await self._run_sandbox(seen, action)
            case AttachNetworks(sandbox_id=sandbox_id):
                return await self._networks.attach(seen, sandbox_id)
            case PullImage():
                self._pull(seen, action.container)
                return True
            case StartContainer():
                return await self._start_container(seen, action)
            case KillContainer():
                self._kill(seen, action)
                return True
            case RemoveContainer():
                return await self._guard("remove container", self._context.cri.remove_container(action.container_id))
            case StopSandbox():
                return await self._networks.stop_sandbox(action.sandbox_id)
            case RemoveSandbox():
                return await self._guard("remove sandbox", self._context.cri.remove_sandbox(action.sandbox_id))
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
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

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
            self._failed("", "FailedMount", message, pod, event="FailedMount")
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
        config = self._sandbox_config(pod, action.attempt)
        context = self._context
        context.paths.logs(pod.metadata.namespace, pod.metadata.name, self._uid).mkdir(
            parents=True, exist_ok=True, mode=0o755
        )
        try:
            await context.cri.run_sandbox(config)
        except CriError as error:
            message = f"Failed to create pod sandbox: rpc error: code = {error.code} desc = {error.message}"
            self._failed("", "FailedCreatePodSandBox", message, pod, event="FailedCreatePodSandBox")
            return False
        self._memory.solved("")
        return True

    def _pull(self, seen: PodObserved, container: Container) -> None:
        assert seen.pod is not None
        self._memory.images[container.name] = ImageView(ImageViewState.PULLING)
        self._spawn(self._pull_image(seen.pod, container), f"pull {container.image}")

    async def _pull_image(self, pod: Pod, container: Container) -> None:
        path = field_path(pod, container.name)
        context = self._context
        try:
            secrets_ = await context.objects.pull_secrets(pod)
            if await context.images.find(container.image) is None and container.image_pull_policy != "Never":
                self._report(pod, Event(EventType.NORMAL, "Pulling", f'Pulling image "{container.image}"'), path)
            image, took_s = await context.images.ensure(container.image, container.image_pull_policy, secrets_)
        except (ImageError, CriError, ApiError) as error:
            reason = error.reason if isinstance(error, ImageError) else "ErrImagePull"
            what, now = f"image {container.name}", context.clock.now()
            view, events = pull_failed(self._memory, what, container.image, reason, str(error), now)
            for event in events:
                self._report(pod, event, path)
            self._memory.images[container.name] = view
        else:
            self._memory.solved(f"image {container.name}")
            self._memory.images[container.name] = ImageView(ImageViewState.PRESENT)
            if took_s is not None:
                self._report(pod, Event(EventType.NORMAL, "Pulled", pulled_message(container, image, took_s)), path)

    async def _start_container(self, seen: PodObserved, action: StartContainer) -> bool:
        assert seen.pod is not None
        pod, container, context = seen.pod, action.container, self._context
        path = field_path(pod, container.name)
        created: str | None = None
        try:
            self._write_hosts_file(pod, action.sandbox.ips)
            image = await context.cri.image(container.image)
            allocation = await context.devices.allocate(pod, container)
            given = ContainerInput(
                container=container,
                attempt=action.attempt,
                backoff_s=action.backoff_s,
                image=image,
                volumes=self._memory.volumes,
                dependencies=await context.objects.dependencies(pod, action.sandbox.ips),
                paths=context.paths,
                message_file=str(self._message_file(container.name)),
                node_memory_bytes=context.facts.memory_bytes,
                allocation=allocation,
                target_id=target_id(seen, container),
            )
            config = container_config(pod, given)
            self._make_sub_paths(container, config)
            created = await context.cri.create_container(
                action.sandbox.id, config, self._sandbox_config(pod, action.sandbox.attempt)
            )
            # Before it starts: its end may be told before it is looked at for the first time.
            self._track(created, self._uid)
            await context.cri.start_container(created)
        except (KobuneError, ConfigError, OSError) as error:
            reason = start_reason(error, created)
            if created is not None:
                # Of a container that starts, "Started" says this as well.
                self._report(pod, Event(EventType.NORMAL, "Created", f"Created container: {container.name}"), path)
            self._failed(container.name, reason, str(error), pod, event="Failed", prefix="Error: ", path=path)
            return False
        self._report(pod, Event(EventType.NORMAL, "Started", f"Started container {container.name}"), path)
        self._memory.solved(container.name)
        # A later start asks for the image again: its policy may be Always, or it may be gone.
        self._memory.images.pop(container.name, None)
        if container.lifecycle is not None and container.lifecycle.post_start is not None:
            await self._post_start(pod, container, created, action.sandbox.ips)
        return True

    async def _post_start(self, pod: Pod, container: Container, container_id: str, ips: tuple[str, ...]) -> None:
        assert container.lifecycle is not None
        assert container.lifecycle.post_start is not None
        hook, ip = container.lifecycle.post_start, ips[0] if ips else ""
        problem = await run_hook(self._context.cri, container, container_id, ip, hook, POST_START_LIMIT_S)
        if problem is not None:
            event = Event(EventType.WARNING, "FailedPostStartHook", f"PostStartHook failed: {problem}")
            self._report(pod, event, field_path(pod, container.name))
            self._stop_in_background(container_id, container, None, MIN_STOP_S, pod)

    def _kill(self, seen: PodObserved, action: KillContainer) -> None:
        container = None
        ip = ""
        if seen.pod is not None:
            container = next((own for own in all_containers(seen.pod) if own.name == action.name), None)
            ip = seen.pod.status.pod_ip
        # A second, shorter order must not wait for a hook that the first one is running.
        first = action.container_id not in self._memory.stopping
        self._stop_in_background(action.container_id, container if first else None, ip, action.grace_s, seen.pod)

    def _stop_in_background(
        self, container_id: str, container: Container | None, ip: str | None, grace_s: int, pod: Pod | None
    ) -> None:
        self._memory.stopping[container_id] = grace_s
        self._spawn(self._stop(container_id, container, ip or "", grace_s, pod), f"stop {container_id[:12]}")

    async def _stop(
        self, container_id: str, container: Container | None, ip: str, grace_s: int, pod: Pod | None
    ) -> None:
        left_s = grace_s
        hook = container.lifecycle.pre_stop if container is not None and container.lifecycle is not None else None
        if container is not None and hook is not None and grace_s > 0:
            started = time.monotonic()
            problem = await run_hook(self._context.cri, container, container_id, ip, hook, grace_s)
            if problem is not None:
                event = Event(EventType.WARNING, "FailedPreStopHook", f"PreStopHook failed: {problem}")
                self._report(pod, event, field_path(pod, container.name) if pod else "")
            left_s = max(int(grace_s - (time.monotonic() - started)), MIN_STOP_S)
        try:
            await self._context.cri.stop_container(container_id, left_s)
        except ContainerNotFound:
            pass
        except CriError as error:
            _LOG.warning("container %s cannot be stopped, trying again: %s", container_id[:12], error)
            await asyncio.sleep(1)
        finally:
            self._memory.stopping.pop(container_id, None)

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

    # ---- small parts ----

    def _sandbox_config(self, pod: Pod, attempt: int) -> pb.PodSandboxConfig:
        dns = pod_dns(pod, self._context.cluster_dns, self._context.host_dns())
        return sandbox_config(pod, attempt, self._context.paths, dns, self._context.cgroup_root)

    def _make_sub_paths(self, container: Container, config: pb.ContainerConfig) -> None:
        rendered = {mount.container_path: mount for mount in config.mounts}
        for mount in container.volume_mounts:
            if mount.sub_path or mount.sub_path_expr:
                target = rendered[posixpath.join("/", mount.mount_path)]
                volume = Path(self._memory.volumes[mount.name].host_path)
                # Mounted by its real path: a link put there after the check is not followed.
                target.host_path = str(make_sub_path(volume, Path(target.host_path)))

    def _message_file(self, container: str) -> str:
        directory = self._context.paths.container(self._uid, container)
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        file = directory / secrets.token_hex(4)
        file.touch(mode=0o666)
        # The umask must not take the right to write from the container's user.
        file.chmod(0o666)
        return str(file)

    def _write_hosts_file(self, pod: Pod, ips: tuple[str, ...]) -> None:
        if pod.spec.host_network:
            return
        text = hosts_text(pod, ips)
        target = self._context.paths.hosts_file(self._uid)
        # Written in place: containers have this very file mounted.
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
            target.chmod(0o644)

    def _spawn(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
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

    async def _guard(self, what: str, work: Awaitable[None]) -> bool:
        try:
            await work
        except ContainerNotFound:
            return True
        except CriError as error:
            _LOG.warning("pod %s: cannot %s: %s", self._uid, what, error)
            self._memory.failed("", "RuntimeError", str(error), self._context.clock.now())
            return False
        return True

    def _failed(
        self, name: str, reason: str, message: str, pod: Pod, *, event: str, prefix: str = "", path: str = ""
    ) -> None:
        self._memory.failed(name, reason, message, self._context.clock.now())
        self._report(pod, Event(EventType.WARNING, event, prefix + message), path)
