"""The probe command against a launcher on a socket."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.virt.launcher.probe import main
from kobune.virt.launcherproto.fake import FakeLauncher
from kobune.virt.launcherproto.messages import (
    DomainStatus,
    ErrorCode,
    ExecResult,
    Failure,
    GuestExec,
    GuestPing,
    Result,
)


class Guest(FakeLauncher):
    result: Result | None = None

    async def execute(self, command: object) -> Result:
        self.commands.append(command)  # type: ignore[arg-type]
        assert self.result is not None
        return self.result


@pytest.fixture
async def guest() -> AsyncIterator[tuple[Guest, str]]:
    with tempfile.TemporaryDirectory() as folder:
        guest = Guest()
        guest.change(status=DomainStatus.RUNNING)
        path = Path(folder) / "launcher.sock"
        await guest.start(path)
        yield guest, str(path)
        await guest.stop()


async def probe(path: str, *arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments), path)


async def test_a_guest_that_answers_is_well(guest: tuple[Guest, str]) -> None:
    launcher, path = guest
    launcher.result = ExecResult(exit_status=0)
    assert await probe(path, "--guest-agent-ping") == 0
    assert isinstance(launcher.commands[-1], GuestPing)


async def test_a_program_in_the_guest_decides(guest: tuple[Guest, str], capsys: pytest.CaptureFixture[str]) -> None:
    launcher, path = guest
    launcher.result = ExecResult(exit_status=0)
    assert await probe(path, "--timeout-s", "3", "--exec", "--", "cat", "-n", "/tmp/healthy") == 0
    assert launcher.commands[-1] == GuestExec(program=["cat", "-n", "/tmp/healthy"], timeout_s=3)
    launcher.result = ExecResult(exit_status=2, stderr="no such file")
    assert await probe(path, "--exec", "--", "cat", "/tmp/healthy") == 1
    assert "no such file" in capsys.readouterr().err


async def test_a_failure_is_told(guest: tuple[Guest, str], capsys: pytest.CaptureFixture[str]) -> None:
    launcher, path = guest
    launcher.result = Failure(code=ErrorCode.AGENT_UNAVAILABLE, message="no guest agent is connected")
    assert await probe(path, "--guest-agent-ping") == 1
    assert "no guest agent is connected" in capsys.readouterr().err


async def test_no_launcher_is_a_failed_probe(tmp_path: Path) -> None:
    assert await probe(str(tmp_path / "nobody"), "--guest-agent-ping") == 1


def test_a_probe_must_ask_for_something() -> None:
    with pytest.raises(SystemExit):
        main([])
