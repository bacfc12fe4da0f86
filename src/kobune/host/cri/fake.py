"""A container runtime in memory: keeps `CriRuntime` as containerd does, for tests without root.

Containers do what the test says: they run until `finish`, or end when they are stopped. `fail_next` makes one call
fail.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kobune.base.clock import Clock
from kobune.host.cri import cri_pb2 as pb
from kobune.host.cri.types import (
    ContainerInfo,
    ContainerNotFound,
    ContainerState,
    CriError,
    ExecResult,
    ImageInfo,
    ImageNotFound,
    SandboxInfo,
)

__all__ = ["FakeCri"]

TERMINATED = 143
KILLED = 137


class FakeCri:
    """Sandboxes, containers and images of a machine that does not exist."""

    def __init__(self, clock: Clock, *images: str) -> None:
        self.calls: list[str] = []
        self.sandbox_configs: dict[str, pb.PodSandboxConfig] = {}
        self.container_configs: dict[str, pb.ContainerConfig] = {}
        self.deaf: set[str] = set()
        """Names of containers that do not react to their stop signal."""
        self.registry: set[str] = set()
        """Images that can be pulled."""
        self.on_change: Callable[[str, str], None] = lambda topic, container_id: None
        self.on_exec: Callable[[str, Sequence[str]], ExecResult] = lambda container, command: ExecResult(0, b"", b"")
        self.namespaces: Path | None = None
        self._clock = clock
        self._sandboxes: dict[str, SandboxInfo] = {}
        self._containers: dict[str, ContainerInfo] = {}
        self._images: dict[str, ImageInfo] = {}
        self._failures: dict[str, CriError] = {}
        self._numbers = itertools.count(1)
        self._addresses = itertools.count(2)
        for image in images:
            self.add_image(image)

    # ---- what tests do ----

    def add_image(self, reference: str, *, uid: int | None = None, username: str = "") -> None:
        """The node has this image from now on."""
        number = next(self._numbers)
        self._images[reference] = ImageInfo(
            f"sha256:{number:064x}", (reference,), (), 1000, uid, username, f"sha256:{number + 500:064x}"
        )

    def fail_next(self, call: str, message: str, code: str = "UNKNOWN") -> None:
        """The next `call` (such as `run_sandbox`) fails."""
        self._failures[call] = CriError(call, code, message)

    def finish(self, name: str, exit_code: int = 0, reason: str = "") -> None:
        """The running container of that name ends by itself."""
        self._end(self._running(name).id, exit_code, reason)

    def lose_sandbox(self, sandbox_id: str) -> None:
        """The sandbox dies, as after a reboot; its containers die with it."""
        self._sandboxes[sandbox_id] = replace(self._sandboxes[sandbox_id], ready=False, ips=())
        for container in list(self._containers.values()):
            if container.sandbox_id == sandbox_id and container.state is ContainerState.RUNNING:
                self._end(container.id, KILLED, "")

    def running(self) -> list[str]:
        """Names of running containers, sorted."""
        return sorted(own.name for own in self._containers.values() if own.state is ContainerState.RUNNING)

    # ---- CriRuntime ----

    async def version(self) -> tuple[str, str]:
        """Its name."""
        return "fake", "1.0"

    async def conditions(self) -> Mapping[str, tuple[bool, str]]:
        """All is well."""
        return {"RuntimeReady": (True, ""), "NetworkReady": (True, "")}

    async def run_sandbox(self, config: pb.PodSandboxConfig) -> str:
        """Ready at once."""
        self._begin("run_sandbox")
        meta = config.metadata
        for known in self._sandboxes.values():
            if (known.uid, known.attempt) == (meta.uid, meta.attempt):
                raise CriError("run_sandbox", "UNKNOWN", f"name is reserved for {known.id}")
        sandbox_id = f"sandbox{next(self._numbers)}"
        host_network = config.linux.security_context.namespace_options.network == pb.NODE
        self._sandboxes[sandbox_id] = SandboxInfo(
            sandbox_id,
            meta.name,
            meta.namespace,
            meta.uid,
            meta.attempt,
            True,
            self._now_ns(),
            () if host_network else (f"10.42.0.{next(self._addresses)}",),
            dict(config.labels),
            dict(config.annotations),
        )
        self.sandbox_configs[sandbox_id] = config
        return sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kills what runs in it."""
        self._begin("stop_sandbox")
        if sandbox_id in self._sandboxes:
            self.lose_sandbox(sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """With its containers."""
        self._begin("remove_sandbox")
        if self._sandboxes.pop(sandbox_id, None) is not None:
            gone = [own.id for own in self._containers.values() if own.sandbox_id == sandbox_id]
            for container_id in gone:
                del self._containers[container_id]

    async def sandbox(self, sandbox_id: str) -> SandboxInfo:
        """With addresses."""
        self._begin("sandbox")
        if sandbox_id not in self._sandboxes:
            raise ContainerNotFound("sandbox", "NOT_FOUND", f"no sandbox {sandbox_id}")
        return self._sandboxes[sandbox_id]

    async def sandbox_network_namespace(self, sandbox_id: str) -> str:
        """A file in `namespaces`, or a path that does not exist."""
        found = (await self.sandbox(sandbox_id)).id
        if self.namespaces is None:
            return f"/run/netns/{found}"
        (self.namespaces / found).touch()
        return str(self.namespaces / found)

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[SandboxInfo]:
        """Without addresses."""
        self._begin("list_sandboxes")
        return [replace(own, ips=()) for own in self._sandboxes.values() if _has(own.labels, labels)]

    async def create_container(
        self, sandbox_id: str, config: pb.ContainerConfig, sandbox_config: pb.PodSandboxConfig
    ) -> str:
        """Not started yet."""
        self._begin("create_container")
        if sandbox_id not in self._sandboxes:
            raise ContainerNotFound("create_container", "NOT_FOUND", f"no sandbox {sandbox_id}")
        image = self._find_image(config.image.image)
        if image is None:
            raise CriError("create_container", "UNKNOWN", f"image {config.image.image} not found")
        container_id = f"container{next(self._numbers)}"
        self._containers[container_id] = ContainerInfo(
            container_id,
            sandbox_id,
            config.metadata.name,
            config.metadata.attempt,
            ContainerState.CREATED,
            self._now_ns(),
            image=config.image.image,
            image_ref=image.id,
            log_path=f"{sandbox_config.log_directory}/{config.log_path}",
            labels=dict(config.labels),
            annotations=dict(config.annotations),
        )
        self.container_configs[container_id] = config
        return container_id

    async def start_container(self, container_id: str) -> None:
        """Runs until told otherwise."""
        self._begin("start_container")
        container = self._get(container_id)
        self._containers[container_id] = replace(container, state=ContainerState.RUNNING, started_at_ns=self._now_ns())
        self.on_change("/tasks/start", container_id)

    async def stop_container(self, container_id: str, grace_s: int) -> None:
        """Ends at once, or after the grace when it is deaf."""
        self._begin(f"stop_container {grace_s}")
        container = self._get(container_id)
        if container.state is not ContainerState.RUNNING:
            return
        if container.name in self.deaf:
            await self._clock.sleep(grace_s)
            if self._get(container_id).state is ContainerState.RUNNING:
                self._end(container_id, KILLED, "")
        else:
            self._end(container_id, TERMINATED, "")

    async def remove_container(self, container_id: str) -> None:
        """Repeatable."""
        self._begin("remove_container")
        self._containers.pop(container_id, None)

    async def container(self, container_id: str) -> ContainerInfo:
        """All that is known; the sandbox's id is not part of a container's status."""
        self._begin("container")
        return replace(self._get(container_id), sandbox_id="")

    async def container_pid(self, container_id: str) -> int:
        """A number that no process has."""
        if self._get(container_id).state is not ContainerState.RUNNING:
            raise ContainerNotFound("container_pid", "NOT_FOUND", f"container {container_id} does not run")
        return 4_194_304

    async def list_containers(self, labels: Mapping[str, str] | None = None) -> list[ContainerInfo]:
        """Without start, end and exit code."""
        self._begin("list_containers")
        return [
            replace(own, started_at_ns=0, finished_at_ns=0, exit_code=0, reason="", log_path="")
            for own in self._containers.values()
            if _has(own.labels, labels)
        ]

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_s: int) -> ExecResult:
        """As `on_exec` answers."""
        self._begin("exec_sync")
        return self.on_exec(self._get(container_id).name, command)

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        """Nothing listens there."""
        return f"http://127.0.0.1:1/attach/{self._get(container_id).id}"

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        """Nothing listens there."""
        return f"http://127.0.0.1:1/portforward/{sandbox_id}"

    async def reopen_log(self, container_id: str) -> None:
        """Nothing is written anyway."""
        self._get(container_id)

    async def list_images(self) -> list[ImageInfo]:
        """All."""
        return list(self._images.values())

    async def image(self, reference: str) -> ImageInfo:
        """By name or id."""
        found = self._find_image(reference)
        if found is None:
            raise ImageNotFound("image", "NOT_FOUND", f"image {reference} is not on this node")
        return found

    async def pull_image(self, reference: str, auth: pb.AuthConfig | None, timeout_s: float) -> str:
        """From `registry`."""
        self._begin("pull_image")
        if reference not in self.registry:
            raise CriError("pull_image", "NOT_FOUND", f"failed to resolve reference {reference}")
        self.add_image(reference)
        return self._images[reference].id

    async def close(self) -> None:
        """Nothing to close."""

    # ---- inside ----

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        failure = self._failures.pop(call.partition(" ")[0], None)
        if failure is not None:
            raise failure

    def _get(self, container_id: str) -> ContainerInfo:
        if container_id not in self._containers:
            raise ContainerNotFound("container", "NOT_FOUND", f"no container {container_id}")
        return self._containers[container_id]

    def _running(self, name: str) -> ContainerInfo:
        return next(
            own for own in self._containers.values() if own.name == name and own.state is ContainerState.RUNNING
        )

    def _find_image(self, reference: str) -> ImageInfo | None:
        return self._images.get(reference) or next((own for own in self._images.values() if own.id == reference), None)

    def _end(self, container_id: str, exit_code: int, reason: str) -> None:
        self._containers[container_id] = replace(
            self._containers[container_id],
            state=ContainerState.EXITED,
            finished_at_ns=self._now_ns(),
            exit_code=exit_code,
            reason=reason or ("Completed" if exit_code == 0 else "Error"),
        )
        self.on_change("/tasks/exit", container_id)

    def _now_ns(self) -> int:
        return int(self._clock.now().timestamp() * 1e9)


def _has(labels: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return all(labels.get(key) == value for key, value in (wanted or {}).items())
