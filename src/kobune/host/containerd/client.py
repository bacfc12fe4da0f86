"""containerd's own gRPC API, where CRI has nothing: task events, read-only snapshots, processes with half-close."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from kobune.base.errors import KobuneError
from kobune.host.containerd import containerd_pb2 as pb
from kobune.host.containerd.config import NAMESPACE

__all__ = ["ContainerdClient", "ContainerdError", "SnapshotMount", "TaskEvent"]

CALL_TIMEOUT_S = 30.0
SNAPSHOTTER = "overlayfs"
_METADATA = (("containerd-namespace", NAMESPACE),)
_PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process"

R = TypeVar("R", bound=Message)


class ContainerdError(KobuneError):
    """containerd refused or failed; `code` is gRPC's name of the status."""

    def __init__(self, call: str, code: str, message: str) -> None:
        super().__init__(f"{call}: {message or code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """Something happened to a container: `topic` is /tasks/start, /tasks/exit, /tasks/oom, ..."""

    topic: str
    container_id: str


@dataclass(frozen=True, slots=True)
class SnapshotMount:
    """How to mount a snapshot: the arguments of mount(2), options as in fstab."""

    type: str
    source: str
    options: tuple[str, ...]


class ContainerdClient:
    """containerd behind its unix socket."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.aio.insecure_channel(
            f"unix://{socket}",
            options=[
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
                ("grpc.default_authority", "localhost"),
            ],
        )

    async def task_events(self) -> AsyncIterator[TaskEvent]:
        """Events of all containers from now on; ends with ContainerdError when the connection does."""
        stream = self._channel.unary_stream(
            "/containerd.services.events.v1.Events/Subscribe",
            request_serializer=pb.SubscribeRequest.SerializeToString,
            response_deserializer=pb.Envelope.FromString,
        )(pb.SubscribeRequest(filters=[f'namespace=={NAMESPACE},topic~="^/tasks/"']), metadata=_METADATA)
        try:
            async for envelope in stream:
                # Every task event has the container's id in field 1, whatever its type.
                event = pb.TaskEvent.FromString(envelope.event.value)
                yield TaskEvent(envelope.topic, event.container_id)
        except grpc.aio.AioRpcError as error:
            raise _error("Subscribe", error) from None

    async def view_snapshot(self, key: str, parent: str) -> list[SnapshotMount]:
        """A read-only view of an image's topmost snapshot, kept until `remove_snapshot`; repeatable."""
        # Without the label, containerd's garbage collector takes a snapshot that no container refers to.
        labels = {"containerd.io/gc.root": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        request = pb.ViewSnapshotRequest(snapshotter=SNAPSHOTTER, key=key, parent=parent, labels=labels)
        try:
            mounts = (await self._call("snapshots.v1.Snapshots/View", request, pb.ViewSnapshotResponse)).mounts
        except ContainerdError as error:
            if error.code != "ALREADY_EXISTS":
                raise
            again = pb.MountsRequest(snapshotter=SNAPSHOTTER, key=key)
            mounts = (await self._call("snapshots.v1.Snapshots/Mounts", again, pb.MountsResponse)).mounts
        return [SnapshotMount(mount.type, mount.source, tuple(mount.options)) for mount in mounts]

    async def remove_snapshot(self, key: str) -> None:
        """Remove a view; repeatable."""
        request = pb.RemoveSnapshotRequest(snapshotter=SNAPSHOTTER, key=key)
        try:
            await self._call("snapshots.v1.Snapshots/Remove", request, Empty)
        except ContainerdError as error:
            if error.code != "NOT_FOUND":
                raise

    async def exec_start(
        self,
        container_id: str,
        exec_id: str,
        command: Sequence[str],
        *,
        tty: bool,
        stdin: Path | None,
        stdout: Path | None,
        stderr: Path | None,
    ) -> None:
        """Start a process beside a container's first one, as the same user; the streams are named pipes."""
        request = pb.GetContainerRequest(id=container_id)
        found = await self._call("containers.v1.Containers/Get", request, pb.GetContainerResponse)
        process: dict[str, Any] = json.loads(found.container.spec.value)["process"]
        process["args"] = list(command)
        process["terminal"] = tty
        process.pop("commandLine", None)
        spec = AnyMessage(type_url=_PROCESS_TYPE, value=json.dumps(process).encode())
        await self._call(
            "tasks.v1.Tasks/Exec",
            pb.ExecProcessRequest(
                container_id=container_id,
                exec_id=exec_id,
                stdin=str(stdin or ""),
                stdout=str(stdout or ""),
                stderr=str(stderr or ""),
                terminal=tty,
                spec=spec,
            ),
            Empty,
        )
        start = pb.StartRequest(container_id=container_id, exec_id=exec_id)
        await self._call("tasks.v1.Tasks/Start", start, pb.StartResponse)

    async def exec_wait(self, container_id: str, exec_id: str) -> int:
        """Wait for the process' end, without a limit; its exit status."""
        request = pb.WaitRequest(container_id=container_id, exec_id=exec_id)
        return (await self._call("tasks.v1.Tasks/Wait", request, pb.WaitResponse, None)).exit_status

    async def exec_resize(self, container_id: str, exec_id: str, width: int, height: int) -> None:
        """The size of the process' terminal, in characters."""
        request = pb.ResizePtyRequest(container_id=container_id, exec_id=exec_id, width=width, height=height)
        await self._call("tasks.v1.Tasks/ResizePty", request, Empty)

    async def close_stdin(self, container_id: str, exec_id: str = "") -> None:
        """End of input for a process; without `exec_id` for the container's first one."""
        request = pb.CloseIORequest(container_id=container_id, exec_id=exec_id, stdin=True)
        await self._call("tasks.v1.Tasks/CloseIO", request, Empty)

    async def exec_kill(self, container_id: str, exec_id: str) -> None:
        """SIGKILL; a process that has ended is no error."""
        request = pb.KillRequest(container_id=container_id, exec_id=exec_id, signal=9)
        try:
            await self._call("tasks.v1.Tasks/Kill", request, Empty)
        except ContainerdError as error:
            if error.code != "NOT_FOUND":
                raise

    async def exec_delete(self, container_id: str, exec_id: str) -> None:
        """Forget an ended process; repeatable."""
        request = pb.DeleteProcessRequest(container_id=container_id, exec_id=exec_id)
        try:
            await self._call("tasks.v1.Tasks/DeleteProcess", request, pb.DeleteResponse)
        except ContainerdError as error:
            if error.code != "NOT_FOUND":
                raise

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _call(
        self, method: str, request: Message, answer: type[R], timeout_s: float | None = CALL_TIMEOUT_S
    ) -> R:
        call = self._channel.unary_unary(
            f"/containerd.services.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            result: R = await call(request, timeout=timeout_s, metadata=_METADATA)
        except grpc.aio.AioRpcError as error:
            raise _error(method.rpartition("/")[2], error) from None
        return result


def _error(call: str, error: grpc.aio.AioRpcError) -> ContainerdError:
    return ContainerdError(call, error.code().name, error.details() or "")
