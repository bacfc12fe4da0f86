"""A real guest behind virt-handler's network: it gets its address by DHCP through the tap and is reached by the pod's.

The tap is opened by QEMU as uid 107 without any capability; virt-handler's code sets everything up from outside.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.host.dnsmasq import Dnsmasq
from kobune.host.netlink import IpCommand
from kobune.host.nftables import NftCommand
from kobune.host.procroot import HeldProcess
from kobune.host.run import HostRunner
from kobune.virt.domain.facts import Facts
from kobune.virt.handler.network.setup import PodNetworks
from kobune.virt.launcherproto.messages import DomainStatus
from support.launcher_container import LauncherContainer
from support.netlab import Space, inside, space, veth
from support.vmis import vmi_document

pytestmark = pytest.mark.node

BANNER = """
import socket, sys
with socket.create_connection((sys.argv[1], 22), timeout=3) as connection:
    connection.settimeout(3)
    print(connection.recv(64).decode(errors="replace"))
"""


@pytest.fixture
async def container(launcher_root: Path, demo_disk: Path, tmp_path: Path) -> AsyncIterator[LauncherContainer]:
    container = LauncherContainer(launcher_root, tmp_path / "pod")
    container.add_container_disk("root", demo_disk)
    container.start()
    yield container
    container.stop()
    print(container.log.read_text(errors="replace")[-5000:])


@pytest.fixture
def world() -> Iterator[Space]:
    with space() as made:
        yield made


def attach(world: Space, pod: Space) -> None:
    """What the pod network would have done: eth0 with 10.99.0.2, and a router at 10.99.0.1."""
    veth(world, "w0", pod, "eth0")
    inside(world, "ip", "address", "add", "10.99.0.1/24", "dev", "w0")
    inside(pod, "ip", "address", "add", "10.99.0.2/24", "dev", "eth0")
    inside(pod, "ip", "route", "add", "default", "via", "10.99.0.1")


@pytest.mark.parametrize("binding", ["masquerade", "bridge"])
async def test_a_guest_is_reached_by_the_address_of_its_pod(
    container: LauncherContainer, world: Space, tmp_path: Path, binding: str
) -> None:
    document: dict[str, Any] = vmi_document(container.uid)
    document["spec"]["domain"]["devices"]["interfaces"] = [{"name": "default", binding: {}, "model": "virtio"}]
    document["spec"]["networks"] = [{"name": "default", "pod": {}}]
    vmi = msgspec.convert(document, VirtualMachineInstance)
    runner = HostRunner()
    tmp_path.chmod(0o755)  # noqa: ASYNC240 - a folder of the test, at once
    networks = PodNetworks(
        runner,
        IpCommand(runner),
        NftCommand(runner),
        Dnsmasq(runner, tmp_path / "dhcp"),
        tmp_path / "state",
        lambda pid, pod_uid: HeldProcess(pid),
    )
    client = await container.connect()
    attach(world, Space(client.peer_pid))
    try:
        began_s = time.monotonic()
        interfaces = await networks.ensure("pod-1", client.peer_pid, vmi)
        print(f"network ready after {time.monotonic() - began_s:.3f} s")
        state = await client.sync_virtual_machine(msgspec.json.encode(document), Facts(interfaces=interfaces))
        assert state.status is DomainStatus.RUNNING
        banner = await _banner(world, "10.99.0.2")
        print(f"ssh banner after {time.monotonic() - began_s:.1f} s: {banner}")
        assert banner.startswith("SSH-")
        await client.kill()
    finally:
        await client.close()
        await networks.release("pod-1")


async def _banner(world: Space, address: str) -> str:
    """The first line of the guest's ssh server, waiting for it to boot."""
    async with asyncio.timeout(90):
        while True:
            done = await asyncio.to_thread(inside, world, sys.executable, "-c", BANNER, address, check=False)
            if done.stdout.strip():
                return done.stdout.strip()
            await asyncio.sleep(0.5)
