"""The supervisor keeps its components running, takes them with it at its end, and leaves guests alone."""

import asyncio
import os
from pathlib import Path

import pytest

from kobune.host.run import Launch, RunningProcess
from kobune.host.run.fake import FakeRunner
from kobune.main import supervisor as module
from kobune.main.supervisor import REFUSED, SUPERVISOR_FD, ComponentSpec, Supervisor, read_component_pids, refusal_file


class FakeComponents(FakeRunner):
    """Tells when a component was started."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Condition()

    async def start(self, launch: Launch) -> RunningProcess:
        process = await super().start(launch)
        async with self.changed:
            self.changed.notify_all()
        return process

    async def count(self, number: int) -> None:
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(lambda: len(self.processes) >= number)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACK_OFF_S", (0.0,))


async def test_a_component_that_dies_is_started_again(tmp_path: Path, quick: None) -> None:
    components = FakeComponents()
    supervisor = Supervisor(tmp_path, tmp_path, components)
    supervisor.start(ComponentSpec("virt-api", ("--x=1",)))
    await components.count(1)
    components.processes[0].end(-9)
    await components.count(2)
    assert supervisor.restarts == {"virt-api": 1}
    assert list(components.processes[1].launch.args)[-3:] == ["component", "virt-api", "--x=1"]
    await supervisor.stop()
    assert supervisor.pids == {}


async def test_components_stop_in_reverse_order_and_the_record_follows(tmp_path: Path) -> None:
    components = FakeComponents()
    supervisor = Supervisor(tmp_path, tmp_path, components)
    for name in ("apiserver", "virt-api"):
        supervisor.start(ComponentSpec(name, ()))
    await components.count(2)
    await asyncio.sleep(0)
    assert set(read_component_pids(tmp_path)) == {"apiserver", "virt-api"}
    await supervisor.stop()
    assert read_component_pids(tmp_path) == {}
    assert [process.returncode for process in components.processes] == [-15, -15]


async def test_a_component_sees_the_end_of_its_supervisor(tmp_path: Path) -> None:
    components = FakeComponents()
    supervisor = Supervisor(tmp_path, tmp_path, components)
    supervisor.start(ComponentSpec("kubelet", ()))
    await components.count(1)
    launch = components.processes[0].launch
    assert launch.pass_fds == (int(launch.env[SUPERVISOR_FD]),)
    os.set_blocking(launch.pass_fds[0], False)
    with pytest.raises(BlockingIOError):
        os.read(launch.pass_fds[0], 1)
    await supervisor.stop()


def test_a_broken_record_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "components.json").write_text('{"apiserver": 1')
    assert read_component_pids(tmp_path) == {}


async def test_a_component_that_can_never_work_says_why_once(tmp_path: Path, quick: None) -> None:
    components = FakeComponents()
    supervisor = Supervisor(tmp_path, tmp_path, components)
    supervisor.start(ComponentSpec("apiserver", ()))
    await components.count(1)
    refusal_file(tmp_path, "apiserver").write_text("store.db has format 9")
    components.processes[0].end(REFUSED)
    assert await asyncio.wait_for(supervisor.refused, 10) == "store.db has format 9"
    await components.count(2)
    await supervisor.stop()
