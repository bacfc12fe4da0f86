"""The kubelet's side of device plugins: registration, what they offer, and which container has which device.

Source: the device plugin API v1beta1. Allocations are kept in a file, because containers keep their devices over a
restart of the kubelet. Must not know any device.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from kobune.api.core import Container, Pod
from kobune.base.errors import RetryableError
from kobune.base.quantity import parse_quantity
from kobune.embedded.kubelet.render import DeviceAllocation
from kobune.host.deviceplugin import API_VERSION, HEALTHY, KUBELET_SOCKET
from kobune.host.deviceplugin import deviceplugin_pb2 as pb
from kobune.host.files import write_file

__all__ = ["DevicePlugins", "DevicesUnavailable"]

_LOG = logging.getLogger(__name__)
ALLOCATE_TIMEOUT_S = 10.0
CHECKPOINT = "kobune_allocations.json"


class DevicesUnavailable(RetryableError):
    """Too few devices are free; the message names the resource."""


@dataclass(slots=True)
class _Plugin:
    """One resource. `healthy` is by device id; a plugin that went away leaves its devices unhealthy."""

    resource: str
    endpoint: Path
    channel: grpc.aio.Channel
    healthy: dict[str, bool] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


class DevicePlugins:
    """All device plugins of this node. `changed` is called when the node's resources change."""

    def __init__(self, directory: Path, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._changed = changed
        self._plugins: dict[str, _Plugin] = {}
        self._server: grpc.aio.Server | None = None
        # pod uid -> container -> resource -> device ids
        self._allocated: dict[str, dict[str, dict[str, list[str]]]] = {}

    async def start(self) -> None:
        """Serve the registration socket; plugins register again when they see it re-created."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._load()
        socket = self._directory / KUBELET_SOCKET
        socket.unlink(missing_ok=True)
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            self._register,
            request_deserializer=pb.RegisterRequest.FromString,
            response_serializer=pb.Empty.SerializeToString,
        )
        service = grpc.method_handlers_generic_handler("v1beta1.Registration", {"Register": handler})
        server.add_generic_rpc_handlers((service,))
        server.add_insecure_port(f"unix://{socket}")
        await server.start()
        self._server = server

    async def close(self) -> None:
        """Stop serving and watching; allocations stay."""
        for plugin in self._plugins.values():
            await _close(plugin)
        if self._server is not None:
            await self._server.stop(0.2)

    def capacity(self) -> dict[str, tuple[int, int]]:
        """(capacity, allocatable) by resource: all devices, and the healthy ones."""
        return {
            name: (len(plugin.healthy), sum(plugin.healthy.values())) for name, plugin in sorted(self._plugins.items())
        }

    async def allocate(self, pod: Pod, container: Container) -> DeviceAllocation:
        """What plugins give to a container for the extended resources in its limits; the same again on a restart.

        Raises DevicesUnavailable when a plugin is absent or has too few free healthy devices.
        """
        result = _Merged()
        uid = pod.metadata.uid
        for resource, amount in sorted((container.resources.requests | container.resources.limits).items()):
            count = int(parse_quantity(amount))
            if "/" not in resource or count <= 0:
                continue
            plugin = self._plugins.get(resource)
            if plugin is None:
                if resource.partition("/")[0].endswith("kubernetes.io"):
                    continue
                raise DevicesUnavailable(f"no device plugin has registered for {resource}")
            ids = self._allocated.get(uid, {}).get(container.name, {}).get(resource)
            if ids is None:
                ids = self._choose(plugin, count)
                # Taken before the plugin is asked, so that nobody else gets the same one meanwhile.
                self._allocated.setdefault(uid, {}).setdefault(container.name, {})[resource] = ids
                self._save()
            request = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=ids)])
            call = plugin.channel.unary_unary(
                "/v1beta1.DevicePlugin/Allocate",
                request_serializer=pb.AllocateRequest.SerializeToString,
                response_deserializer=pb.AllocateResponse.FromString,
            )
            try:
                answer = await call(request, timeout=ALLOCATE_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                raise DevicesUnavailable(f"the device plugin of {resource} failed: {error.details()}") from None
            for response in answer.container_responses:
                result.add(response)
        return result.allocation()

    def free(self, uid: str) -> None:
        """The pod is gone: its devices are free."""
        if self._allocated.pop(uid, None) is not None:
            self._save()

    def _choose(self, plugin: _Plugin, count: int) -> list[str]:
        taken = {
            device
            for containers in self._allocated.values()
            for resources in containers.values()
            for device in resources.get(plugin.resource, ())
        }
        free = [device for device, healthy in sorted(plugin.healthy.items()) if healthy and device not in taken]
        if len(free) < count:
            raise DevicesUnavailable(
                f"requested number of devices unavailable for {plugin.resource}. Requested: {count}, "
                f"Available: {len(free)}"
            )
        return free[:count]

    async def _register(self, request: pb.RegisterRequest, context: grpc.aio.ServicerContext[Any, Any]) -> pb.Empty:
        if request.version != API_VERSION:
            message = f"device plugin API {request.version} is not supported; this kubelet has {API_VERSION}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        if "/" not in request.resource_name or "/" in request.endpoint:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bad resource name or endpoint")
        before = self._plugins.get(request.resource_name)
        if before is not None:
            await _close(before)
        endpoint = self._directory / request.endpoint
        channel = grpc.aio.insecure_channel(
            f"unix://{endpoint}",
            options=[("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1)],
        )
        plugin = _Plugin(request.resource_name, endpoint, channel, before.healthy if before else {})
        self._plugins[request.resource_name] = plugin
        plugin.task = asyncio.create_task(self._watch(plugin), name=f"devices of {plugin.resource}")
        _LOG.info("device plugin of %s has registered", plugin.resource)
        return pb.Empty()

    async def _watch(self, plugin: _Plugin) -> None:
        call = plugin.channel.unary_stream(
            "/v1beta1.DevicePlugin/ListAndWatch",
            request_serializer=pb.Empty.SerializeToString,
            response_deserializer=pb.ListAndWatchResponse.FromString,
        )
        try:
            async for answer in call(pb.Empty()):
                plugin.healthy = {device.ID: device.health == HEALTHY for device in answer.devices}
                self._changed()
        except grpc.aio.AioRpcError as error:
            _LOG.warning("device plugin of %s went away: %s", plugin.resource, error.details())
        plugin.healthy = dict.fromkeys(plugin.healthy, False)
        self._changed()

    def _load(self) -> None:
        try:
            self._allocated = json.loads((self._directory / CHECKPOINT).read_text())
        except FileNotFoundError:
            self._allocated = {}
        except ValueError:
            _LOG.exception("the record of allocated devices is damaged; starting without it")
            self._allocated = {}

    def _save(self) -> None:
        write_file(self._directory / CHECKPOINT, json.dumps(self._allocated).encode())


class _Merged:
    """Answers of several plugins for one container."""

    def __init__(self) -> None:
        self._envs: dict[str, str] = {}
        self._annotations: dict[str, str] = {}
        self._mounts: list[tuple[str, str, bool]] = []
        self._devices: list[tuple[str, str, str]] = []

    def add(self, response: pb.ContainerAllocateResponse) -> None:
        """One plugin's answer."""
        self._envs |= _plain(response.envs)
        self._annotations |= _plain(response.annotations)
        self._mounts += [(mount.container_path, mount.host_path, mount.read_only) for mount in response.mounts]
        self._devices += [(device.container_path, device.host_path, device.permissions) for device in response.devices]

    def allocation(self) -> DeviceAllocation:
        """All together."""
        return DeviceAllocation(self._envs, self._annotations, tuple(self._mounts), tuple(self._devices))


def _plain(table: Mapping[str, str]) -> dict[str, str]:
    return dict(table)


async def _close(plugin: _Plugin) -> None:
    if plugin.task is not None:
        plugin.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await plugin.task
    await plugin.channel.close()
