"""libvirt, the launcher process, or both are killed while a domain is being started, at many moments.

Whatever the moment: the next attempt ends with one running QEMU, and the container ends cleanly afterwards.
"""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from kobune.base.errors import RetryableError
from kobune.virt.domain.facts import Facts
from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.messages import DomainState, DomainStatus
from support.launcher_container import LauncherContainer
from support.vmis import vmi_document

pytestmark = pytest.mark.node


async def synchronise(container: LauncherContainer, vmi: bytes) -> tuple[LauncherClient, DomainState]:
    """As virt-handler does it: connect and try again as long as that can help."""
    async with asyncio.timeout(90):
        while True:
            try:
                client = await container.connect(30)
                state = await client.sync_virtual_machine(vmi, Facts())
                if state.status is not DomainStatus.STARTING:
                    return client, state
                await client.close()
            except RetryableError:
                pass
            await asyncio.sleep(0.1)


def kill(container: LauncherContainer, names: tuple[str, ...]) -> None:
    processes = container.processes()
    for name in names:
        for pid in processes.get(name, []):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("victims", [("libvirtd",), ("python3",), ("libvirtd", "python3")], ids="+".join)
@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.8])
async def test_a_start_that_is_interrupted_is_repeated(
    container: LauncherContainer, victims: tuple[str, ...], fraction: float
) -> None:
    vmi = json.dumps(vmi_document(container.uid)).encode()
    client = await container.connect()
    await client.close()
    # How long a start takes depends on the machine; it is told by where the pod's disks and QEMU come into being.
    trying = asyncio.create_task(synchronise(container, vmi))
    await appears(container, "ephemeral-disks/disk-data/root/disk.qcow2")
    await asyncio.sleep(fraction * 0.4)
    kill(container, victims)
    client, _ = await trying
    client, state = await synchronise(container, vmi)
    assert state.status is DomainStatus.RUNNING
    ((pid,),) = [pids for name, pids in container.processes().items() if name.startswith("qemu-system")]
    assert pid
    await client.kill()
    assert await container.wait(20) == 0


async def appears(container: LauncherContainer, path: str) -> None:
    async with asyncio.timeout(60):
        while not there(container.state / path):  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)


def there(path: Path) -> bool:
    return path.exists()
