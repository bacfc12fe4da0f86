"""One device plugin: offers something of this machine to pods as an extended resource.

What is offered is an `Offer`: a device node that pods share (`DeviceNode`), or devices of which each goes to one pod
(`passthrough`). Owns: the plugin's socket, its registration with the kubelet, and doing both again when the kubelet was
restarted (it empties the directory and makes its own socket anew). Source: Kubernetes' device plugin API v1beta1.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from kobune.host.deviceplugin import API_VERSION, HEALTHY, KUBELET_SOCKET
from kobune.host.deviceplugin import deviceplugin_pb2 as pb
from kobune.host.deviceplugin import deviceplugin_pb2_grpc as pb_grpc

__all__ = ["DeviceNode", "DevicePlugin", "Offer"]

log = logging.getLogger(__name__)

CHECK_S: Final = 0.5
REGISTER_TIMEOUT_S: Final = 5.0
STOP_GRACE_S: Final = 1.0

# The generated stubs carry no types.
_add_to_server: Any = pb_grpc.add_DevicePluginServicer_to_server
_RegistrationStub: Any = pb_grpc.RegistrationStub


class Offer(Protocol):
    """What a plugin offers."""

    @property
    def resource(self) -> str:
        """The extended resource's name."""
        ...

    def watch(self) -> AsyncIterator[list[pb.Device]]:
        """All devices with their health, now and after every change; ends only with the offer."""
        ...

    def allocate(self, ids: Sequence[str]) -> pb.ContainerAllocateResponse:
        """What a container gets with these devices. Raises LookupError for one that is not there (any more)."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device that any number of pods may share: `count` of them are offered as `resource`."""

    resource: str
    path: str
    count: int = 1000

    @property
    def short_name(self) -> str:
        """The last word of the resource's name."""
        return self.resource.rpartition("/")[2]

    async def watch(self) -> AsyncIterator[list[pb.Device]]:
        """Once: their number and health never change."""
        yield [pb.Device(ID=f"{self.short_name}{number}", health=HEALTHY) for number in range(self.count)]
        await asyncio.Event().wait()

    def allocate(self, ids: Sequence[str]) -> pb.ContainerAllocateResponse:
        """The same device node for every container that asks."""
        spec = pb.DeviceSpec(container_path=self.path, host_path=self.path, permissions="mrw")
        return pb.ContainerAllocateResponse(devices=[spec])


class DevicePlugin(pb_grpc.DevicePluginServicer):  # type: ignore[misc,name-defined,unused-ignore]
    """Serves one offer in `directory` until cancelled."""

    def __init__(self, offer: Offer, directory: Path) -> None:
        self.offer = offer
        self.registrations = 0
        """How often the kubelet was told; tests and metrics read it."""
        self._directory = directory
        self._socket = directory / _socket_name(offer.resource)

    async def run(self) -> None:
        """Serve and stay registered, without an end; a kubelet that is not there is waited for."""
        while True:
            server: grpc.aio.Server | None = None
            try:
                kubelet = self._identity(KUBELET_SOCKET)
                if kubelet is not None:
                    server = await self._serve()
                    await self._register()
                    self.registrations += 1
                    log.info("%s is offered to the kubelet", self.offer.resource)
                    # The kubelet tells nobody that it was restarted: looking is what plugins do.
                    while self._identity(KUBELET_SOCKET) == kubelet and self._socket.exists():  # noqa: ASYNC110
                        await asyncio.sleep(CHECK_S)
                    log.info("%s: the kubelet was restarted; registering again", self.offer.resource)
            except (grpc.aio.AioRpcError, TimeoutError, OSError, RuntimeError) as error:
                log.warning("%s could not be offered to the kubelet: %s", self.offer.resource, error)
            finally:
                if server is not None:
                    await server.stop(STOP_GRACE_S)
            await asyncio.sleep(CHECK_S)

    # The service. Method names are the API's.

    async def GetDevicePluginOptions(self, request: Any, context: Any) -> pb.DevicePluginOptions:  # noqa: N802
        """Neither preparation nor preferences."""
        return pb.DevicePluginOptions()

    async def ListAndWatch(self, request: Any, context: Any) -> AsyncIterator[pb.ListAndWatchResponse]:  # noqa: N802
        """All devices, and again whenever one comes, goes or changes."""
        async for devices in self.offer.watch():
            yield pb.ListAndWatchResponse(devices=devices)

    async def Allocate(self, request: pb.AllocateRequest, context: Any) -> pb.AllocateResponse:  # noqa: N802
        """One answer per container that asks."""
        try:
            answers = [self.offer.allocate(container.devices_ids) for container in request.container_requests]
        except LookupError as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error.args[0]))
        return pb.AllocateResponse(container_responses=answers)

    async def _serve(self) -> grpc.aio.Server:
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()
        server = grpc.aio.server()
        _add_to_server(self, server)
        server.add_insecure_port(f"unix:{self._socket}")
        await server.start()
        return server

    async def _register(self) -> None:
        request = pb.RegisterRequest(version=API_VERSION, endpoint=self._socket.name, resource_name=self.offer.resource)
        async with grpc.aio.insecure_channel(f"unix:{self._directory / KUBELET_SOCKET}") as channel:
            await _RegistrationStub(channel).Register(request, timeout=REGISTER_TIMEOUT_S)

    def _identity(self, name: str) -> tuple[int, int] | None:
        try:
            status = os.stat(self._directory / name)
        except FileNotFoundError:
            return None
        # A new socket may get the old one's inode number; its change time differs.
        return status.st_ino, status.st_ctime_ns


def _socket_name(resource: str) -> str:
    """Short, as the path of a socket must be, and unlike any other resource's."""
    domain, _, name = resource.rpartition("/")
    if domain == "devices.kubevirt.io":
        return f"kobune-{name}.sock"
    return f"kobune-{hashlib.sha256(resource.encode()).hexdigest()[:16]}.sock"
