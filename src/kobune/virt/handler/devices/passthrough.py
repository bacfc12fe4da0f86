"""Offers this node's PCI, mediated and USB devices to guests, as far as the installation permits them.

Level-triggered: what is permitted and what is there are looked at again and again, and every plugin is told. Owns the
plugins' life: one per permitted resource, ended when it is permitted no more. A device that a guest has when it is no
longer permitted stays with that guest. What is found is `sysfs`'s.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

from kobune.api.kubevirt import KubeVirt, PermittedHostDevices
from kobune.host.deviceplugin import HEALTHY, UNHEALTHY
from kobune.host.deviceplugin import deviceplugin_pb2 as pb
from kobune.virt.domain.hostdevices import environment_name
from kobune.virt.handler.devices.plugin import DevicePlugin
from kobune.virt.handler.devices.sysfs import Node, NodeDevice, discover

__all__ = ["HostDevicePlugins", "Passthrough", "permitted_devices"]

log = logging.getLogger(__name__)

LOOK_S: Final = 10.0
"""How often devices are looked for: a driver that is bound to a device tells nobody."""
GOODBYE_S: Final = 1.0
"""A plugin that ends has this long to tell the kubelet that it has nothing more."""


def permitted_devices(installations: Sequence[KubeVirt]) -> PermittedHostDevices | None:
    """`permittedHostDevices` of the installation."""
    found = (one.spec.configuration for one in installations)
    return next((one.permitted_host_devices for one in found if one is not None), None)


class Passthrough:
    """One resource's devices, an `Offer`. `show` replaces them; one that has gone is unhealthy until then."""

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self._devices: dict[str, NodeDevice] = {}
        self._healthy: dict[str, bool] = {}
        self._changed: set[asyncio.Event] = set()

    @property
    def resource(self) -> str:
        """The extended resource's name."""
        return self._resource

    def show(self, devices: Sequence[NodeDevice], has: Callable[[NodeDevice], bool]) -> None:
        """Offer these; `has` tells whether a device can be used now."""
        now = {device.name: device for device in devices}
        healthy = {device.name: has(device) for device in devices}
        if (now, healthy) == (self._devices, self._healthy):
            return
        self._devices, self._healthy = now, healthy
        log.info("%s: %s", self._resource, ", ".join(" ".join(device.ids) for device in devices) or "no device")
        for event in self._changed:
            event.set()

    async def watch(self) -> AsyncIterator[list[pb.Device]]:
        """See Offer."""
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            while True:
                changed.clear()
                yield [self._described(device) for device in self._devices.values()]
                await changed.wait()
        finally:
            self._changed.discard(changed)

    def allocate(self, ids: Sequence[str]) -> pb.ContainerAllocateResponse:
        """Their device nodes, and what they are in the environment. Raises LookupError."""
        given: list[NodeDevice] = []
        for name in ids:
            if not self._healthy.get(name):
                raise LookupError(f"device {name} of {self._resource} is not there any more")
            given.append(self._devices[name])
        told: dict[str, list[str]] = {}
        for device in given:
            told.setdefault(environment_name(device.prefix, self._resource), []).extend(device.ids)
        paths = dict.fromkeys(path for device in given for path in device.nodes)
        return pb.ContainerAllocateResponse(
            envs={name: ",".join(words) for name, words in told.items()},
            devices=[pb.DeviceSpec(container_path=path, host_path=path, permissions="mrw") for path in paths],
        )

    def _described(self, device: NodeDevice) -> pb.Device:
        near = None if device.numa is None else pb.TopologyInfo(nodes=[pb.NUMANode(ID=device.numa)])
        return pb.Device(ID=device.name, health=HEALTHY if self._healthy[device.name] else UNHEALTHY, topology=near)


class HostDevicePlugins:
    """All of this node's; `run` until cancelled. `look_again` when what is permitted may have changed."""

    def __init__(self, permitted: Callable[[], PermittedHostDevices | None], directory: Path, node: Node) -> None:
        self._permitted = permitted
        self._directory = directory
        self._node = node
        self._wake = asyncio.Event()
        self.offers: dict[str, Passthrough] = {}
        """By resource."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._last: dict[str, tuple[NodeDevice, ...]] = {}

    def look_again(self) -> None:
        """Do not wait for the next round."""
        self._wake.set()

    async def run(self) -> None:
        """Look, offer, wait."""
        try:
            while True:
                self._wake.clear()
                found = await self._found()
                await self._offer(found)
                try:
                    async with asyncio.timeout(LOOK_S if found else None):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _found(self) -> dict[str, tuple[NodeDevice, ...]]:
        """What there is; what was found last when the kernel's tree changes while it is read."""
        try:
            self._last = await asyncio.to_thread(discover, self._node, self._permitted(), self._last)
        except OSError as error:
            log.warning("devices for guests could not be looked for: %s", error)
        return self._last

    async def _offer(self, found: dict[str, tuple[NodeDevice, ...]]) -> None:
        for resource, devices in found.items():
            offer = self.offers.setdefault(resource, Passthrough(resource))
            offer.show(devices, self._node.has)
            if resource not in self._running:
                plugin = DevicePlugin(offer, self._directory)
                self._running[resource] = asyncio.create_task(plugin.run(), name=resource)
        gone = [resource for resource in self._running if resource not in found]
        for resource in gone:
            self.offers[resource].show((), self._node.has)
        if gone:
            await asyncio.sleep(GOODBYE_S)
        for resource in gone:
            del self.offers[resource]
            task = self._running.pop(resource)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
