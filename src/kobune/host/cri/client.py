"""CRI v1 over gRPC. Owns the connection, the time limits and the translation of errors; decides nothing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from kobune.host.cri import cri_pb2 as pb
from kobune.host.cri.types import (
    ContainerInfo,
    ContainerNotFound,
    ContainerState,
    CriError,
    CriUnavailable,
    ExecResult,
    ImageInfo,
    ImageNotFound,
    SandboxInfo,
)

__all__ = ["CriClient"]

CALL_TIMEOUT_S = 30.0
SANDBOX_TIMEOUT_S = 240.0
"""The kubelet's own limit for calls that may wait for the network plugin or a slow disk."""
MAX_MESSAGE_BYTES = 16 << 20

R = TypeVar("R", bound=Message)

_STATES = {
    pb.CONTAINER_CREATED: ContainerState.CREATED,
    pb.CONTAINER_RUNNING: ContainerState.RUNNING,
    pb.CONTAINER_EXITED: ContainerState.EXITED,
    pb.CONTAINER_UNKNOWN: ContainerState.UNKNOWN,
}


class CriClient:
    """A `CriRuntime` behind a unix socket."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.aio.insecure_channel(
            f"unix://{socket}",
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                # After a restart of the runtime, try again soon rather than after gRPC's two minutes.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
                # Paths of unix sockets are no host names; containerd refuses an authority with a slash in it.
                ("grpc.default_authority", "localhost"),
            ],
        )
        self._methods: dict[str, Any] = {}

    async def version(self) -> tuple[str, str]:
        """Name and version of the runtime."""
        answer = await self._runtime("Version", pb.VersionRequest(version="v1"), pb.VersionResponse)
        return answer.runtime_name, answer.runtime_version

    async def conditions(self) -> Mapping[str, tuple[bool, str]]:
        """RuntimeReady and NetworkReady with their messages."""
        answer = await self._runtime("Status", pb.StatusRequest(), pb.StatusResponse)
        return {condition.type: (condition.status, condition.message) for condition in answer.status.conditions}

    async def run_sandbox(self, config: pb.PodSandboxConfig) -> str:
        """Create and start a sandbox with its network; returns its id."""
        request = pb.RunPodSandboxRequest(config=config)
        answer = await self._runtime("RunPodSandbox", request, pb.RunPodSandboxResponse, SANDBOX_TIMEOUT_S)
        return answer.pod_sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kill what runs in it and give back its network; repeatable."""
        request = pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self._runtime("StopPodSandbox", request, pb.StopPodSandboxResponse, SANDBOX_TIMEOUT_S)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove it and its containers; repeatable."""
        request = pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self._runtime("RemovePodSandbox", request, pb.RemovePodSandboxResponse, SANDBOX_TIMEOUT_S)

    async def sandbox(self, sandbox_id: str) -> SandboxInfo:
        """One sandbox with its addresses; raises ContainerNotFound."""
        request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        status = (await self._runtime("PodSandboxStatus", request, pb.PodSandboxStatusResponse)).status
        network = status.network
        ips = tuple(ip for ip in (network.ip, *(extra.ip for extra in network.additional_ips)) if ip)
        return _sandbox(status, ips)

    async def sandbox_network_namespace(self, sandbox_id: str) -> str:
        """The path of its network namespace, empty for the host's."""
        request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id, verbose=True)
        answer = await self._runtime("PodSandboxStatus", request, pb.PodSandboxStatusResponse)
        spec = _info(answer.info).get("runtimeSpec") or {}
        for namespace in (spec.get("linux") or {}).get("namespaces") or ():
            if namespace.get("type") == "network":
                return str(namespace.get("path", ""))
        return ""

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[SandboxInfo]:
        """All sandboxes with these labels, without addresses."""
        request = pb.ListPodSandboxRequest(filter=pb.PodSandboxFilter(label_selector=dict(labels or {})))
        answer = await self._runtime("ListPodSandbox", request, pb.ListPodSandboxResponse)
        return [_sandbox(item, ()) for item in answer.items]

    async def create_container(
        self, sandbox_id: str, config: pb.ContainerConfig, sandbox_config: pb.PodSandboxConfig
    ) -> str:
        """Create a container from an image that the node has; returns its id."""
        request = pb.CreateContainerRequest(pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config)
        answer = await self._runtime("CreateContainer", request, pb.CreateContainerResponse, SANDBOX_TIMEOUT_S)
        return answer.container_id

    async def start_container(self, container_id: str) -> None:
        """Start a created container."""
        request = pb.StartContainerRequest(container_id=container_id)
        await self._runtime("StartContainer", request, pb.StartContainerResponse, SANDBOX_TIMEOUT_S)

    async def stop_container(self, container_id: str, grace_s: int) -> None:
        """The image's stop signal, then SIGKILL after `grace_s`; returns when it has ended; repeatable."""
        request = pb.StopContainerRequest(container_id=container_id, timeout=grace_s)
        await self._runtime("StopContainer", request, pb.StopContainerResponse, grace_s + SANDBOX_TIMEOUT_S)

    async def remove_container(self, container_id: str) -> None:
        """Remove it with its log; repeatable."""
        request = pb.RemoveContainerRequest(container_id=container_id)
        await self._runtime("RemoveContainer", request, pb.RemoveContainerResponse, SANDBOX_TIMEOUT_S)

    async def container(self, container_id: str) -> ContainerInfo:
        """One container with times and exit code; raises ContainerNotFound."""
        request = pb.ContainerStatusRequest(container_id=container_id)
        status = (await self._runtime("ContainerStatus", request, pb.ContainerStatusResponse)).status
        return ContainerInfo(
            id=status.id,
            sandbox_id="",
            name=status.metadata.name,
            attempt=status.metadata.attempt,
            state=_STATES[status.state],
            created_at_ns=status.created_at,
            started_at_ns=status.started_at,
            finished_at_ns=status.finished_at,
            exit_code=status.exit_code,
            reason=status.reason,
            message=status.message,
            image=status.image.image,
            image_ref=status.image_ref,
            log_path=status.log_path,
            labels=dict(status.labels),
            annotations=dict(status.annotations),
        )

    async def container_pid(self, container_id: str) -> int:
        """The host's pid of its first process; raises ContainerNotFound when it does not run."""
        request = pb.ContainerStatusRequest(container_id=container_id, verbose=True)
        answer = await self._runtime("ContainerStatus", request, pb.ContainerStatusResponse)
        pid = int(_info(answer.info).get("pid") or 0)
        if pid == 0:
            raise ContainerNotFound("ContainerStatus", "NOT_FOUND", f"container {container_id} does not run")
        return pid

    async def list_containers(self, labels: Mapping[str, str] | None = None) -> list[ContainerInfo]:
        """All containers with these labels, without start, end and exit code."""
        request = pb.ListContainersRequest(filter=pb.ContainerFilter(label_selector=dict(labels or {})))
        answer = await self._runtime("ListContainers", request, pb.ListContainersResponse)
        return [
            ContainerInfo(
                id=item.id,
                sandbox_id=item.pod_sandbox_id,
                name=item.metadata.name,
                attempt=item.metadata.attempt,
                state=_STATES[item.state],
                created_at_ns=item.created_at,
                image=item.image.image,
                image_ref=item.image_ref,
                labels=dict(item.labels),
                annotations=dict(item.annotations),
            )
            for item in answer.containers
        ]

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_s: int) -> ExecResult:
        """Run a command in it to its end; raises CriUnavailable (code DEADLINE_EXCEEDED) when it takes longer."""
        request = pb.ExecSyncRequest(container_id=container_id, cmd=list(command), timeout=timeout_s)
        answer = await self._runtime("ExecSync", request, pb.ExecSyncResponse, timeout_s + CALL_TIMEOUT_S)
        return ExecResult(answer.exit_code, answer.stdout, answer.stderr)

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        """Where its first process' streams are served, once."""
        request = pb.AttachRequest(container_id=container_id, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
        return (await self._runtime("Attach", request, pb.AttachResponse)).url

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        """Where ports of the sandbox are served, once."""
        request = pb.PortForwardRequest(pod_sandbox_id=sandbox_id, port=list(ports))
        return (await self._runtime("PortForward", request, pb.PortForwardResponse)).url

    async def reopen_log(self, container_id: str) -> None:
        """Write to a new log file, after the old one was renamed."""
        request = pb.ReopenContainerLogRequest(container_id=container_id)
        await self._runtime("ReopenContainerLog", request, pb.ReopenContainerLogResponse)

    async def list_images(self) -> list[ImageInfo]:
        """All images of the node."""
        answer = await self._image("ListImages", pb.ListImagesRequest(), pb.ListImagesResponse)
        return [_image(image, "") for image in answer.images]

    async def image(self, reference: str) -> ImageInfo:
        """One image; raises ImageNotFound."""
        request = pb.ImageStatusRequest(image=pb.ImageSpec(image=reference), verbose=True)
        answer = await self._image("ImageStatus", request, pb.ImageStatusResponse)
        if not answer.HasField("image"):
            raise ImageNotFound("ImageStatus", "NOT_FOUND", f"image {reference} is not on this node")
        return _image(answer.image, str(_info(answer.info).get("chainID", "")))

    async def pull_image(self, reference: str, auth: pb.AuthConfig | None, timeout_s: float) -> str:
        """Fetch an image from its registry; returns its id."""
        request = pb.PullImageRequest(image=pb.ImageSpec(image=reference), auth=auth)
        return (await self._image("PullImage", request, pb.PullImageResponse, timeout_s)).image_ref

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _runtime(self, call: str, request: Message, answer: type[R], timeout_s: float = CALL_TIMEOUT_S) -> R:
        return await self._call("RuntimeService", call, request, answer, timeout_s)

    async def _image(self, call: str, request: Message, answer: type[R], timeout_s: float = CALL_TIMEOUT_S) -> R:
        return await self._call("ImageService", call, request, answer, timeout_s)

    async def _call(self, service: str, call: str, request: Message, answer: type[R], timeout_s: float) -> R:
        path = f"/runtime.v1.{service}/{call}"
        method = self._methods.get(path)
        if method is None:
            method = self._channel.unary_unary(
                path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
            )
            self._methods[path] = method
        try:
            result: R = await method(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _error(call, error) from None
        return result


def _error(call: str, error: grpc.aio.AioRpcError) -> CriError:
    code = error.code()
    message = error.details() or ""
    if code is grpc.StatusCode.NOT_FOUND:
        return ContainerNotFound(call, code.name, message)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return CriUnavailable(call, code.name, message)
    return CriError(call, code.name, message)


def _sandbox(status: pb.PodSandboxStatus | pb.PodSandbox, ips: tuple[str, ...]) -> SandboxInfo:
    return SandboxInfo(
        id=status.id,
        name=status.metadata.name,
        namespace=status.metadata.namespace,
        uid=status.metadata.uid,
        attempt=status.metadata.attempt,
        ready=status.state == pb.SANDBOX_READY,
        created_at_ns=status.created_at,
        ips=ips,
        labels=dict(status.labels),
        annotations=dict(status.annotations),
    )


def _image(image: pb.Image, chain_id: str) -> ImageInfo:
    return ImageInfo(
        id=image.id,
        tags=tuple(image.repo_tags),
        digests=tuple(image.repo_digests),
        size_bytes=image.size,
        uid=image.uid.value if image.HasField("uid") else None,
        username=image.username,
        chain_id=chain_id,
    )


def _info(info: Mapping[str, str]) -> dict[str, Any]:
    """The runtime's verbose answer: one JSON document under the key `info`."""
    try:
        document = json.loads(info.get("info", "{}"))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
