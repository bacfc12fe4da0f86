"""The supervisor's socket: one request at a time, noise is refused, an end without an outcome is told."""

import asyncio
import stat
from pathlib import Path

import pytest

from kobune.main.door import NAME, NoAnswer, Outcome, ask_restore, open_door


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    # Longer than the address of a unix socket may be.
    path = tmp_path / ("long" * 30) / "run"
    path.mkdir(parents=True)
    return path


def ask(run_dir: Path, said: list[str], timeout_s: float = 20.0) -> "asyncio.Future[Outcome]":
    """Ask in a thread, as a command in another process does."""
    return asyncio.get_running_loop().run_in_executor(
        None, lambda: ask_restore(run_dir, Path("/backup"), said.append, timeout_s)
    )


async def test_who_asks_sees_progress_and_the_outcome(run_dir: Path) -> None:
    said: list[str] = []
    async with open_door(run_dir) as door:
        assert stat.S_IMODE((run_dir / NAME).stat().st_mode) == 0o600
        waiting = ask(run_dir, said)
        request = await door.next()
        assert request.file == Path("/backup")
        second = await ask(run_dir, [])
        assert "another restore" in second.error
        request.say("one")
        request.say("two")
        request.finish(Outcome(created="then"))
        assert (await waiting).created == "then"
        assert said == ["one", "two"]
        third = ask(run_dir, [])
        (await door.next()).finish(Outcome(error="no"))
        assert (await third).error == "no"
    assert not (run_dir / NAME).exists()


async def test_an_end_without_an_outcome_is_told(run_dir: Path) -> None:
    async with open_door(run_dir) as door:
        waiting = ask(run_dir, [])
        await door.next()
    with pytest.raises(NoAnswer, match="kobune up"):
        await waiting
    with pytest.raises(NoAnswer, match="can't be asked"):
        await ask(run_dir, [])


async def test_a_limit_ends_the_waiting_not_the_work(run_dir: Path) -> None:
    async with open_door(run_dir) as door:
        waiting = ask(run_dir, [], timeout_s=0.2)
        request = await door.next()
        with pytest.raises(NoAnswer, match="goes on with it"):
            await waiting
        request.say("nobody listens")
        request.finish(Outcome())


@pytest.mark.parametrize("noise", [b"\n", b"{}\n", b'{"restore": 1}\n', b"GET / HTTP/1.1\r\n\r\n", b"x" * 200_000])
async def test_noise_is_answered_and_forgotten(run_dir: Path, noise: bytes) -> None:
    async with open_door(run_dir) as door:
        folder = _short(run_dir)
        reader, writer = await asyncio.open_unix_connection(folder)
        writer.write(noise)
        assert b"not understood" in await reader.read()
        writer.close()
        waiting = ask(run_dir, [])
        (await door.next()).finish(Outcome())
        await waiting


def _short(run_dir: Path) -> str:
    """A path that fits: a link beside the long one."""
    link = run_dir.parents[1] / "s"
    link.symlink_to(run_dir)
    return str(link / NAME)
