"""What virt-handler may rely on, whatever launcher is behind the socket: the fake and the real one pass it.

A test class that inherits `LauncherContract` offers the fixture `launcher`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from kobune.virt.domain.facts import Facts
from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.errors import ConnectionLost, TerminalFailure
from kobune.virt.launcherproto.messages import DomainState, DomainStatus, ErrorCode, PauseReason

S = DomainStatus


@dataclass
class Launcher:
    """A launcher under test: how to connect to it, the VMI it is for, and how to lose its process."""

    connect: Callable[..., Awaitable[LauncherClient]]
    vmi: bytes
    uid: str
    restart: Callable[[], Awaitable[None]]


class States:
    """Collects pushed states and waits for one."""

    def __init__(self) -> None:
        self.all: list[DomainState] = []
        self._new = asyncio.Event()

    def __call__(self, state: DomainState) -> None:
        self.all.append(state)
        self._new.set()

    async def wait_for(self, status: DomainStatus, timeout_s: float = 30) -> DomainState:
        return await self.wait_until(lambda state: state.status is status, timeout_s)

    async def wait_until(self, holds: Callable[[DomainState], bool], timeout_s: float = 30) -> DomainState:
        async with asyncio.timeout(timeout_s):
            while not self.all or not holds(self.all[-1]):
                self._new.clear()
                await self._new.wait()
        return self.all[-1]


class LauncherContract:
    async def test_says_whose_launcher_it_is(self, launcher: Launcher) -> None:
        client = await launcher.connect()
        assert client.hello.uid == launcher.uid
        assert client.peer_pid > 0
        await client.close()

    async def test_runs_pauses_continues_and_ends(self, launcher: Launcher) -> None:
        states = States()
        client = await launcher.connect(on_state=states)
        await client.subscribe()
        assert (await states.wait_for(S.NONE)).exit is None

        state = await client.sync_virtual_machine(launcher.vmi, Facts())
        assert state.status is S.RUNNING
        assert state.started_at
        assert state.machine.startswith("pc-q35")
        assert state.kvm is False
        await states.wait_for(S.RUNNING)

        again = await client.sync_virtual_machine(launcher.vmi, Facts())
        assert (again.status, again.started_at) == (S.RUNNING, state.started_at)

        paused = await client.pause()
        assert (paused.status, paused.pause_reason) == (S.PAUSED, PauseReason.USER)
        assert (await client.pause()).status is S.PAUSED
        continued = await client.unpause()
        assert (continued.status, continued.pause_reason) == (S.RUNNING, None)
        assert (await client.unpause()).status is S.RUNNING

        await client.kill()
        ended = await states.wait_for(S.ENDED)
        assert ended.exit is not None
        assert (ended.exit.crashed, ended.exit.killed) == (False, True)
        sequences = [state.sequence for state in states.all]
        assert sequences == sorted(set(sequences))

    async def test_refuses_what_is_not_legal_before_the_domain_runs(self, launcher: Launcher) -> None:
        client = await launcher.connect()
        for command in (client.pause, client.unpause, client.soft_reboot, client.reset, client.freeze, client.users):
            with pytest.raises(TerminalFailure) as failure:
                await command()
            assert failure.value.code is ErrorCode.ILLEGAL_STATE
        await client.close()

    async def test_a_shutdown_before_the_first_synchronisation_ends_the_launcher(self, launcher: Launcher) -> None:
        states = States()
        client = await launcher.connect(on_state=states)
        await client.subscribe()
        state = await client.shutdown(10)
        assert state.status is S.ENDED
        assert (await states.wait_for(S.ENDED)).exit is not None

    async def test_a_new_process_takes_the_domain_over(self, launcher: Launcher) -> None:
        client = await launcher.connect()
        before = await client.sync_virtual_machine(launcher.vmi, Facts())
        await launcher.restart()
        with pytest.raises(ConnectionLost):
            await client.get_state()
        states = States()
        client = await launcher.connect(on_state=states)
        await client.subscribe()
        after = await states.wait_for(S.RUNNING)
        assert (after.uuid, after.started_at) == (before.uuid, before.started_at)
        again = await client.sync_virtual_machine(launcher.vmi, Facts())
        assert again.started_at == before.started_at
        await client.kill()
        await states.wait_for(S.ENDED)

    async def test_a_vmi_that_is_none_is_refused_and_the_next_one_runs(self, launcher: Launcher) -> None:
        client = await launcher.connect()
        with pytest.raises(TerminalFailure) as failure:
            await client.sync_virtual_machine(b'{"spec": 7}', Facts())
        assert failure.value.code is ErrorCode.INVALID_SPEC
        assert (await client.get_state()).status is S.NONE
        assert (await client.sync_virtual_machine(launcher.vmi, Facts())).status is S.RUNNING
        await client.kill()
