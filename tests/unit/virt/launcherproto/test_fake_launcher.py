"""The fake launcher keeps the launcher's contract, and tests can make things happen in it."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from kobune.virt.domain.facts import Facts, InterfaceFacts
from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.errors import RetryableFailure
from kobune.virt.launcherproto.fake import FakeLauncher
from kobune.virt.launcherproto.messages import DomainStatus, ErrorCode, Failure, SyncVirtualMachine
from support.launcher_contract import Launcher, LauncherContract, States
from support.vmis import UID, vmi_document

VMI = json.dumps(vmi_document()).encode()


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeLauncher]:
    fake = FakeLauncher(uid=UID)
    await fake.start(tmp_path / "launcher.sock")
    yield fake
    await fake.stop()


class TestContract(LauncherContract):
    @pytest.fixture
    async def launcher(self, fake: FakeLauncher, tmp_path: Path) -> AsyncIterator[Launcher]:
        path = tmp_path / "launcher.sock"
        clients: list[LauncherClient] = []

        async def connect(**callbacks: object) -> LauncherClient:
            clients.append(await partial(LauncherClient.connect, path, **callbacks)())  # type: ignore[arg-type]
            return clients[-1]

        async def restart() -> None:
            await fake.stop()
            await fake.start(path)
            await asyncio.sleep(0)

        yield Launcher(connect, VMI, UID, restart)
        for client in clients:
            await client.close()


async def test_a_test_can_see_and_cause_everything(fake: FakeLauncher, tmp_path: Path) -> None:
    states = States()
    client = await LauncherClient.connect(tmp_path / "launcher.sock", on_state=states)
    await client.subscribe()
    facts = Facts(interfaces=[InterfaceFacts(name="default", tap="tap0", mac="02:00:00:00:00:01")])
    fake.fail_next = Failure(code=ErrorCode.LIBVIRT_UNAVAILABLE, message="libvirt is being started")
    with pytest.raises(RetryableFailure):
        await client.sync_virtual_machine(VMI, facts)
    await client.sync_virtual_machine(VMI, facts)
    assert isinstance(fake.commands[-1], SyncVirtualMachine)
    assert fake.facts == facts
    fake.guest_gets_address("10.0.2.2")
    assert (await client.get_state()).interfaces[0].ip_addresses == ["10.0.2.2"]
    fake.qemu_dies("QEMU was ended by signal 9")
    ended = await states.wait_for(DomainStatus.ENDED)
    assert ended.exit is not None
    assert ended.exit.crashed
    await client.close()


async def test_a_guest_that_ignores_the_power_button_is_destroyed(fake: FakeLauncher, tmp_path: Path) -> None:
    states = States()
    client = await LauncherClient.connect(tmp_path / "launcher.sock", on_state=states)
    await client.subscribe()
    await client.sync_virtual_machine(VMI, Facts())
    fake.obeys_acpi = False
    assert (await client.shutdown(0.05)).status is DomainStatus.SHUTTING_DOWN
    ended = await states.wait_for(DomainStatus.ENDED)
    assert ended.exit is not None
    assert ended.exit.killed
    await client.close()
