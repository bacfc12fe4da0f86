"""virt-handler's device plugins and the embedded kubelet find each other, also after either was restarted."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kobune.embedded.kubelet.devices import DevicePlugins
from kobune.kube.testing import eventually
from kobune.virt.handler.devices.plugin import DeviceNode, DevicePlugin

TUN = DeviceNode("devices.kubevirt.io/tun", "/dev/net/tun", 5)


@pytest.fixture
def directory() -> Iterator[Path]:
    with TemporaryDirectory(prefix="kb-") as folder:
        yield Path(folder)


async def test_devices_are_offered_and_survive_restarts(directory: Path) -> None:
    kubelet = DevicePlugins(directory, lambda: None)
    await kubelet.start()
    plugin = DevicePlugin(TUN, directory)
    running = asyncio.create_task(plugin.run())
    try:
        await eventually(lambda: kubelet.capacity().get(TUN.resource) == (5, 5), "five devices")
        await kubelet.close()
        kubelet = DevicePlugins(directory, lambda: None)
        await kubelet.start()
        await eventually(lambda: kubelet.capacity().get(TUN.resource) == (5, 5), "again, after the kubelet's restart")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await eventually(lambda: kubelet.capacity().get(TUN.resource, (0, 0))[1] == 0, "none without the plugin")
        running = asyncio.create_task(plugin.run())
        await eventually(lambda: kubelet.capacity().get(TUN.resource) == (5, 5), "again, after the plugin's restart")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await kubelet.close()
