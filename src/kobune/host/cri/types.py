"""What a container runtime tells, its errors, and the protocol that the fake keeps too.

Configurations go in as the interface's own messages (`cri_pb2.PodSandboxConfig`, `ContainerConfig`); what comes out is
plain data, so that decisions about it need no gRPC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from kobune.base.errors import KobuneError, RetryableError
from kobune.host.cri import cri_pb2 as pb

__all__ = [
    "ContainerInfo",
    "ContainerNotFound",
    "ContainerState",
    "CriError",
    "CriRuntime",
    "CriUnavailable",
    "ExecResult",
    "ImageInfo",
    "ImageNotFound",
    "SandboxInfo",
]


class CriError(KobuneError):
    """The runtime refused or failed. `code` is gRPC's name of the status, such as `UNKNOWN`."""

    def __init__(self, call: str, code: str, message: str) -> None:
        super().__init__(f"{call}: {message}" if message else f"{call} failed with {code}")
        self.call = call
        self.code = code
        self.message = message


class CriUnavailable(CriError, RetryableError):
    """The runtime does not answer, or not in time."""


class ContainerNotFound(CriError):
    """No container or sandbox has that id."""


class ImageNotFound(CriError):
    """The node does not have that image."""


class ContainerState(StrEnum):
    """The runtime's view of a container."""

    CREATED = "Created"
    RUNNING = "Running"
    EXITED = "Exited"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class SandboxInfo:
    """One pod sandbox. Times are nanoseconds since 1970."""

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    ready: bool
    created_at_ns: int
    ips: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """One container. Times are nanoseconds since 1970, 0 when it has not come to that."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: ContainerState
    created_at_ns: int
    started_at_ns: int = 0
    finished_at_ns: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_ref: str = ""
    log_path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image of the node. `chain_id` names its topmost snapshot; `user` is the image's own, uid or name."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size_bytes: int
    uid: int | None = None
    username: str = ""
    chain_id: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command said."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class CriRuntime(Protocol):
    """A container runtime. Every call has a time limit and raises CriError."""

    async def version(self) -> tuple[str, str]:
        """Name and version of the runtime."""
        ...

    async def conditions(self) -> Mapping[str, tuple[bool, str]]:
        """RuntimeReady and NetworkReady with their messages."""
        ...

    async def run_sandbox(self, config: pb.PodSandboxConfig) -> str:
        """Create and start a sandbox with its network; returns its id."""
        ...

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kill what runs in it and give back its network; repeatable."""
        ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove it and its containers; repeatable."""
        ...

    async def sandbox(self, sandbox_id: str) -> SandboxInfo:
        """One sandbox with its addresses; raises ContainerNotFound."""
        ...

    async def sandbox_network_namespace(self, sandbox_id: str) -> str:
        """The path of its network namespace, empty for the host's."""
        ...

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[SandboxInfo]:
        """All sandboxes with these labels, without addresses."""
        ...

    async def create_container(
        self, sandbox_id: str, config: pb.ContainerConfig, sandbox_config: pb.PodSandboxConfig
    ) -> str:
        """Create a container from an image that the node has; returns its id."""
        ...

    async def start_container(self, container_id: str) -> None:
        """Start a created container."""
        ...

    async def stop_container(self, container_id: str, grace_s: int) -> None:
        """The image's stop signal, then SIGKILL after `grace_s`; returns when it has ended; repeatable."""
        ...

    async def remove_container(self, container_id: str) -> None:
        """Remove it with its log; repeatable."""
        ...

    async def container(self, container_id: str) -> ContainerInfo:
        """One container with times and exit code; raises ContainerNotFound."""
        ...

    async def container_pid(self, container_id: str) -> int:
        """The host's pid of its first process; raises ContainerNotFound when it does not run."""
        ...

    async def list_containers(self, labels: Mapping[str, str] | None = None) -> list[ContainerInfo]:
        """All containers with these labels, without start, end and exit code."""
        ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_s: int) -> ExecResult:
        """Run a command in it to its end; raises CriUnavailable (code DEADLINE_EXCEEDED) when it takes longer."""
        ...

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        """Where its first process' streams are served, once."""
        ...

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        """Where ports of the sandbox are served, once."""
        ...

    async def reopen_log(self, container_id: str) -> None:
        """Write to a new log file, after the old one was renamed."""
        ...

    async def list_images(self) -> list[ImageInfo]:
        """All images of the node."""
        ...

    async def image(self, reference: str) -> ImageInfo:
        """One image; raises ImageNotFound."""
        ...

    async def pull_image(self, reference: str, auth: pb.AuthConfig | None, timeout_s: float) -> str:
        """Fetch an image from its registry; returns its id."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...
