"""One pod's steps with its containers: pull, start with hooks, stop. Decides nothing."""

import asyncio
import logging
import posixpath
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from kobune.api.core import Container, Pod
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.environment import ConfigError
from kobune.embedded.kubelet.hooks import run_hook
from kobune.embedded.kubelet.images import ImageError
from kobune.embedded.kubelet.model import (
    ImageView,
    ImageViewState,
    KillContainer,
    PodObserved,
    StartContainer,
    all_containers,
)
from kobune.embedded.kubelet.pod_work import PodWork
from kobune.embedded.kubelet.pulling import pull_failed
from kobune.embedded.kubelet.render import ContainerInput, container_config
from kobune.embedded.kubelet.stepwords import field_path, hosts_text, pulled_message, start_reason, target_id
from kobune.embedded.kubelet.volumes.provision import make_sub_path
from kobune.host.cri import cri_pb2 as pb
from kobune.host.cri.types import ContainerNotFound, CriError
from kobune.kube.client.errors import ApiError
from kobune.kube.runtime.decision import Event, EventType

__all__ = ["ContainerSteps"]

_LOG = logging.getLogger(__name__)
MIN_STOP_S = 2
"""A container gets at least this after its preStop hook has used up the grace."""
POST_START_LIMIT_S = 60.0


class ContainerSteps:
    """The containers of a pod; `track` learns the id of each one that is made, before it starts."""

    def __init__(self, work: PodWork, track: Callable[[str, str], None]) -> None:
        self._work = work
        self._context, self._uid, self._memory, self._report = work.context, work.uid, work.memory, work.report
        self._track = track

    def pull(self, seen: PodObserved, container: Container) -> None:
        """Make the image present, in the background."""
        assert seen.pod is not None
        self._memory.images[container.name] = ImageView(ImageViewState.PULLING)
        self._work.spawn(self._pull_image(seen.pod, container), f"pull {container.image}")

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

    async def start(self, seen: PodObserved, action: StartContainer) -> bool:
        """Make a container, start it and run its postStart hook; False when that failed."""
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
                action.sandbox.id, config, self._work.sandbox_config(pod, action.sandbox.attempt)
            )
            # Before it starts: its end may be told before it is looked at for the first time.
            self._track(created, self._uid)
            await context.cri.start_container(created)
        except (KobuneError, ConfigError, OSError) as error:
            reason = start_reason(error, created)
            if created is not None:
                # Of a container that starts, "Started" says this as well.
                self._report(pod, Event(EventType.NORMAL, "Created", f"Created container: {container.name}"), path)
            self._work.failed(container.name, reason, str(error), pod, event="Failed", prefix="Error: ", path=path)
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

    def kill(self, seen: PodObserved, action: KillContainer) -> None:
        """Run its preStop hook and stop it, in the background."""
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
        self._work.spawn(self._stop(container_id, container, ip or "", grace_s, pod), f"stop {container_id[:12]}")

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
