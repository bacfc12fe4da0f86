"""Logs as kubectl asks for them."""

# ruff: noqa: ASYNC240 - small local files

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kobune.embedded.kubelet.logs import LogOptions, last_lines, read_log, rotate_log

TEXT = (
    b"2026-05-04T12:00:00.000000001Z stdout F one\n"
    b"2026-05-04T12:00:01.000000001Z stderr F two\n"
    b"2026-05-04T12:00:02.000000001Z stdout P thr\n"
    b"2026-05-04T12:00:02.000000002Z stdout F ee\n"
    b"2026-05-04T12:00:03.000000001Z stdout F \n"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_bytes(TEXT)
    return path


async def read(path: Path, options: LogOptions) -> bytes:
    return b"".join([piece async for piece in read_log(path, options, lambda: True)])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (LogOptions(), b"one\ntwo\nthree\n\n"),
        (LogOptions(tail_lines=0), b""),
        (LogOptions(tail_lines=1), b"\n"),
        (LogOptions(tail_lines=2), b"three\n\n"),
        (LogOptions(tail_lines=3), b"two\nthree\n\n"),
        (LogOptions(tail_lines=99), b"one\ntwo\nthree\n\n"),
        (LogOptions(limit_bytes=5), b"one\nt"),
        (LogOptions(stream="Stderr"), b"two\n"),
        (LogOptions(stream="Stdout", tail_lines=2), b"three\n\n"),
        (LogOptions(since=datetime(2026, 5, 4, 12, 0, 2, tzinfo=UTC)), b"three\n\n"),
        (
            LogOptions(timestamps=True, tail_lines=2),
            b"2026-05-04T12:00:02.000000001Z three\n2026-05-04T12:00:03.000000001Z \n",
        ),
    ],
)
async def test_options(log: Path, options: LogOptions, expected: bytes) -> None:
    assert await read(log, options) == expected


async def test_the_tail_of_a_long_log_is_found_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(b"".join(b"2026-05-04T12:00:00Z stdout F line %d\n" % number for number in range(20_000)))
    assert await read(path, LogOptions(tail_lines=3)) == b"line 19997\nline 19998\nline 19999\n"


async def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(b"garbage\n" + TEXT)
    assert await read(path, LogOptions()) == b"one\ntwo\nthree\n\n"


async def test_following_ends_with_the_container_and_survives_a_rotation(log: Path) -> None:
    over = False
    pieces: list[bytes] = []

    async def follow() -> None:
        async for piece in read_log(log, LogOptions(follow=True), lambda: over):
            pieces.append(piece)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.15)
    log.rename(log.with_name("0.log.1"))
    log.write_bytes(b"2026-05-04T12:00:04Z stdout F after\n")
    await asyncio.sleep(0.25)
    assert not task.done()
    over = True
    await asyncio.wait_for(task, 5)
    assert b"".join(pieces) == b"one\ntwo\nthree\n\nafter\n"


def test_the_end_of_a_log_as_text(log: Path) -> None:
    assert last_lines(log, 2, 2048) == "ee\n\n"
    assert last_lines(log.with_name("none"), 2, 2048) == ""


def test_large_logs_are_rotated_and_few_are_kept(log: Path) -> None:
    assert not rotate_log(log)
    for number in range(7):
        with log.open("wb") as file:
            file.truncate((10 << 20) + number)
        assert rotate_log(log)
    assert sorted(path.name for path in log.parent.iterdir()) == [f"0.log.{number}" for number in range(1, 5)]
