"""Devices of a made-up node reach a pod: found, offered to the kubelet over sockets, allocated, told to a launcher."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest

from kobune.api.core import Pod
from kobune.api.kubevirt import KubeVirt, PermittedHostDevices
from kobune.embedded.kubelet.devices import DevicePlugins, DevicesUnavailable
from kobune.kube.testing import eventually
from kobune.virt.domain.hostdevices import PCI_PREFIX, given_ids
from kobune.virt.handler.devices.passthrough import HostDevicePlugins, permitted_devices
from kobune.virt.handler.devices.sysfs import Node

RESOURCE = "example.com/my-device"


class World:
    """A node with PCI devices, what the installation permits, and the kubelet's side."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.permitted: PermittedHostDevices | None = None
        self.kubelet = DevicePlugins(folder, lambda: None)
        self.plugins = HostDevicePlugins(lambda: self.permitted, folder, Node(root))

    def plug(self, address: str, group: str) -> None:
        folder = self.root / "sys/bus/pci/devices" / address
        folder.mkdir(parents=True)
        (folder / "uevent").write_text("DRIVER=vfio-pci\nPCI_ID=8086:10ED\n")
        (folder / "iommu_group").symlink_to(f"../groups/{group}")
        device = self.root / "dev/vfio" / group
        device.parent.mkdir(parents=True, exist_ok=True)
        device.touch()

    def permit(self, *resources: str) -> None:
        listed = [{"pciVendorSelector": "8086:10ed", "resourceName": name} for name in resources]
        document = {
            "metadata": {"name": "k"},
            "spec": {"configuration": {"permittedHostDevices": {"pciHostDevices": listed}}},
        }
        self.permitted = permitted_devices([msgspec.convert(document, KubeVirt)])
        self.plugins.look_again()

    async def offered(self, resource: str, counts: tuple[int, int]) -> None:
        await eventually(lambda: self.kubelet.capacity().get(resource) == counts, f"{counts} of {resource}")


def pod(uid: str, count: int) -> Pod:
    container = {"name": "compute", "resources": {"limits": {RESOURCE: str(count)}}}
    document: dict[str, Any] = {"metadata": {"name": "p", "uid": uid}, "spec": {"containers": [container]}}
    return msgspec.convert(document, Pod)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with TemporaryDirectory(prefix="kb-") as folder:
        world = World(tmp_path, Path(folder))
        await world.kubelet.start()
        task = asyncio.create_task(world.plugins.run())
        yield world
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await world.kubelet.close()


async def test_a_pod_gets_a_device_of_its_own_and_is_told_which(world: World) -> None:
    world.plug("0000:01:10.0", "7")
    world.plug("0000:01:10.2", "8")
    world.permit(RESOURCE)
    await world.offered(RESOURCE, (2, 2))
    first, second = pod("one", 1), pod("two", 1)
    given = [await world.kubelet.allocate(each, each.spec.containers[0]) for each in (first, second)]
    told = [given_ids(each.envs, PCI_PREFIX, RESOURCE) for each in given]
    assert sorted(told) == [["0000:01:10.0"], ["0000:01:10.2"]]
    assert {path for each in given for path, _, _ in each.devices} == {"/dev/vfio/vfio", "/dev/vfio/7", "/dev/vfio/8"}
    third = pod("three", 1)
    with pytest.raises(DevicesUnavailable):
        await world.kubelet.allocate(third, third.spec.containers[0])


async def test_a_device_that_goes_is_offered_no_more(world: World) -> None:
    world.plug("0000:01:10.0", "7")
    world.permit(RESOURCE)
    await world.offered(RESOURCE, (1, 1))
    (world.root / "dev/vfio/7").unlink()
    world.plugins.look_again()
    await world.offered(RESOURCE, (1, 0))
    world.plug("0000:01:10.2", "8")
    world.plugins.look_again()
    await world.offered(RESOURCE, (2, 1))


async def test_what_is_permitted_no_more_is_taken_back(world: World) -> None:
    world.plug("0000:01:10.0", "7")
    world.permit(RESOURCE)
    await world.offered(RESOURCE, (1, 1))
    world.permit("example.com/renamed")
    await world.offered("example.com/renamed", (1, 1))
    await world.offered(RESOURCE, (0, 0))
    world.permit(RESOURCE)
    await world.offered(RESOURCE, (1, 1))


async def test_a_node_without_such_devices_offers_none(world: World) -> None:
    world.permit(RESOURCE)
    await world.offered(RESOURCE, (0, 0))
