"""Device plugins over real unix sockets: registration, allocation, health, and what a restart remembers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from kobune.embedded.kubelet.devices import DevicePlugins, DevicesUnavailable
from kobune.host.deviceplugin import API_VERSION, HEALTHY, KUBELET_SOCKET, UNHEALTHY
from kobune.host.deviceplugin import deviceplugin_pb2 as pb
from kobune.kube.testing import eventually
from support.pods import pod

RESOURCE = "example.com/thing"


class Plugin:
    """A plugin with devices d0, d1, ..."""

    def __init__(self, directory: Path, count: int) -> None:
        self.health = {f"d{number}": HEALTHY for number in range(count)}
        self.allocated: list[list[str]] = []
        self._directory = directory
        self._changed = asyncio.Event()
        self._server = grpc.aio.server()

    async def start(self) -> None:
        handlers = {
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(
                self._list, pb.Empty.FromString, pb.ListAndWatchResponse.SerializeToString
            ),
            "Allocate": grpc.unary_unary_rpc_method_handler(
                self._allocate, pb.AllocateRequest.FromString, pb.AllocateResponse.SerializeToString
            ),
        }
        service = grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", handlers)
        self._server.add_generic_rpc_handlers((service,))
        self._server.add_insecure_port(f"unix://{self._directory / 'thing.sock'}")
        await self._server.start()

    async def register(self, version: str = API_VERSION) -> None:
        request = pb.RegisterRequest(version=version, endpoint="thing.sock", resource_name=RESOURCE)
        async with grpc.aio.insecure_channel(f"unix://{self._directory / KUBELET_SOCKET}") as channel:
            await channel.unary_unary(
                "/v1beta1.Registration/Register",
                request_serializer=pb.RegisterRequest.SerializeToString,
                response_deserializer=pb.Empty.FromString,
            )(request, timeout=5)

    def set_health(self, device: str, health: str) -> None:
        self.health[device] = health
        self._changed.set()

    async def stop(self) -> None:
        await self._server.stop(None)

    async def _list(self, request: pb.Empty, context: object) -> AsyncIterator[pb.ListAndWatchResponse]:
        while True:
            self._changed.clear()
            devices = [pb.Device(ID=name, health=health) for name, health in self.health.items()]
            yield pb.ListAndWatchResponse(devices=devices)
            await self._changed.wait()

    async def _allocate(self, request: pb.AllocateRequest, context: object) -> pb.AllocateResponse:
        ids = list(request.container_requests[0].devices_ids)
        self.allocated.append(ids)
        response = pb.ContainerAllocateResponse(envs={"THING": ",".join(ids)})
        response.devices.append(pb.DeviceSpec(container_path="/dev/thing", host_path="/dev/null", permissions="rw"))
        return pb.AllocateResponse(container_responses=[response])


@pytest.fixture
async def kubelet(tmp_path: Path) -> AsyncIterator[DevicePlugins]:
    made = DevicePlugins(tmp_path, lambda: None)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def plugin(kubelet: DevicePlugins, tmp_path: Path) -> AsyncIterator[Plugin]:
    made = Plugin(tmp_path, 2)
    await made.start()
    await made.register()
    await eventually(lambda: kubelet.capacity() == {RESOURCE: (2, 2)}, "two devices")
    yield made
    await made.stop()


def wants(count: int, uid: str = "u1"):  # type: ignore[no-untyped-def]
    return pod({"name": "c", "resources": {"limits": {RESOURCE: str(count), "cpu": "1"}}}, metadata={"uid": uid})


async def test_a_container_gets_devices_and_keeps_them(kubelet: DevicePlugins, plugin: Plugin) -> None:
    first = wants(1)
    allocation = await kubelet.allocate(first, first.spec.containers[0])
    assert allocation.envs == {"THING": "d0"}
    assert allocation.devices == (("/dev/thing", "/dev/null", "rw"),)
    assert (await kubelet.allocate(first, first.spec.containers[0])).envs == {"THING": "d0"}
    second = wants(1, "u2")
    assert (await kubelet.allocate(second, second.spec.containers[0])).envs == {"THING": "d1"}
    third = wants(1, "u3")
    with pytest.raises(DevicesUnavailable, match="Requested: 1, Available: 0"):
        await kubelet.allocate(third, third.spec.containers[0])
    kubelet.free("u1")
    assert (await kubelet.allocate(third, third.spec.containers[0])).envs == {"THING": "d0"}


async def test_allocations_survive_a_restart(kubelet: DevicePlugins, plugin: Plugin, tmp_path: Path) -> None:
    first = wants(1)
    await kubelet.allocate(first, first.spec.containers[0])
    await kubelet.close()
    again = DevicePlugins(tmp_path, lambda: None)
    await again.start()
    await plugin.register()
    await eventually(lambda: again.capacity() == {RESOURCE: (2, 2)}, "registered again")
    second = wants(1, "u2")
    assert (await again.allocate(second, second.spec.containers[0])).envs == {"THING": "d1"}
    await again.close()


async def test_unhealthy_devices_are_not_given(kubelet: DevicePlugins, plugin: Plugin) -> None:
    plugin.set_health("d0", UNHEALTHY)
    await eventually(lambda: kubelet.capacity() == {RESOURCE: (2, 1)}, "one is unhealthy")
    first = wants(1)
    assert (await kubelet.allocate(first, first.spec.containers[0])).envs == {"THING": "d1"}


async def test_a_plugin_that_went_away_leaves_nothing_allocatable(kubelet: DevicePlugins, plugin: Plugin) -> None:
    await plugin.stop()
    await eventually(lambda: kubelet.capacity() == {RESOURCE: (2, 0)}, "none is allocatable")


async def test_an_unknown_resource_is_named(kubelet: DevicePlugins) -> None:
    the_pod = wants(1)
    with pytest.raises(DevicesUnavailable, match=f"no device plugin has registered for {RESOURCE}"):
        await kubelet.allocate(the_pod, the_pod.spec.containers[0])


async def test_another_api_version_is_refused(kubelet: DevicePlugins, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path, 1)
    with pytest.raises(grpc.aio.AioRpcError, match="not supported"):
        await plugin.register("v1alpha1")
