"""Running programs: output, limits, cancellation, and the fake under the same rules."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kobune.host.run import (
    CommandFailed,
    CommandNotFound,
    CommandTimeout,
    HostRunner,
    Launch,
    Runner,
)
from kobune.host.run.fake import FakeRunner


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - processes set no event
            await asyncio.sleep(0.01)


@pytest.fixture(params=["host", "fake"])
def runner(request: pytest.FixtureRequest) -> Runner:
    if request.param == "host":
        return HostRunner()
    fake = FakeRunner()
    fake.on("sh", "-c", "echo out", stdout=b"out\n")
    fake.on("sh", "-c", "echo bad >&2; exit 3", stderr=b"bad\n", returncode=3)
    return fake


async def test_output_and_status_are_returned(runner: Runner) -> None:
    done = await runner.run(["sh", "-c", "echo out"], timeout_s=10)
    assert (done.returncode, done.text) == (0, "out\n")


async def test_a_failure_carries_status_and_message(runner: Runner) -> None:
    with pytest.raises(CommandFailed, match="exit status 3: bad") as caught:
        await runner.run(["sh", "-c", "echo bad >&2; exit 3"], timeout_s=10)
    assert caught.value.returncode == 3
    assert caught.value.stderr == "bad"


async def test_a_failure_is_a_value_without_check(runner: Runner) -> None:
    done = await runner.run(["sh", "-c", "echo bad >&2; exit 3"], timeout_s=10, check=False)
    assert (done.returncode, done.stderr) == (3, b"bad\n")


async def test_a_missing_program_is_named(runner: Runner) -> None:
    with pytest.raises(CommandNotFound, match="kobune-no-such-program"):
        await runner.run(["kobune-no-such-program"], timeout_s=10)


async def test_input_and_environment_reach_the_program() -> None:
    done = await HostRunner().run(
        ["sh", "-c", 'cat; printf %s "$COLOUR-$SECRET"'], timeout_s=10, input=b"in ", env={"COLOUR": "blue"}
    )
    assert done.stdout == b"in blue-"


async def test_the_environment_of_the_caller_is_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "leaked")
    done = await HostRunner().run(["env"], timeout_s=10)
    assert "leaked" not in done.text


async def test_a_command_over_its_time_is_killed_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandTimeout, match=r"0\.5 s"):
        await HostRunner().run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout_s=0.5)
    child = int(pid_file.read_text())
    await until(lambda: not alive(child))


async def test_a_cancelled_caller_leaves_no_process(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    task = asyncio.create_task(
        HostRunner().run(
            ["sh", "-c", f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60"], timeout_s=60
        )
    )
    await until(pid_file.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(pid_file.read_text()))


async def test_a_long_running_process_delivers_lines_and_its_status() -> None:
    lines: list[bytes] = []
    process = await HostRunner().start(Launch(["sh", "-c", "echo one; printf two; exit 4"], stdout=lines.append))
    assert await process.wait() == 4
    assert lines == [b"one", b"two"]


async def test_an_endless_line_arrives_in_pieces() -> None:
    pieces: list[bytes] = []
    process = await HostRunner().start(Launch([sys.executable, "-c", "print('x' * 3_000_000)"], stdout=pieces.append))
    await process.wait()
    assert sum(map(len, pieces)) == 3_000_000
    assert max(map(len, pieces)) < 3_000_000


async def test_output_is_appended_to_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    process = await HostRunner().start(Launch(["echo", "after"], stdout=log, stderr=log))
    await process.wait()
    assert log.read_text() == "before\nafter\n"


async def test_stop_asks_and_then_kills() -> None:
    polite = await HostRunner().start(Launch(["sleep", "60"]))
    assert await polite.stop(grace_s=10) == -signal.SIGTERM
    lines: list[bytes] = []
    deaf = await HostRunner().start(
        Launch(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], stdout=lines.append)
    )
    await until(lambda: bool(lines))
    assert await deaf.stop(grace_s=0.2) == -signal.SIGKILL


async def test_the_fake_records_calls_and_processes() -> None:
    fake = FakeRunner()
    fake.on("ip", stdout=b"first")
    fake.on("ip", "link", stdout=b"second")
    assert (await fake.run(["ip", "link", "show"], timeout_s=1, input=b"x")).stdout == b"second"
    assert (await fake.run(["ip", "addr"], timeout_s=1)).stdout == b"first"
    assert [call.args for call in fake.calls] == [("ip", "link", "show"), ("ip", "addr")]
    process = await fake.start(Launch(["dnsmasq"]))
    assert process.returncode is None
    assert await process.stop(grace_s=1) == -15
    assert fake.processes[0].launch.args == ["dnsmasq"]
