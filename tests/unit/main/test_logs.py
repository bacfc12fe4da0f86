"""Logs stay small while somebody writes them."""

import asyncio
from pathlib import Path

import pytest

from kobune.main import logs
from kobune.main.logs import bound_logs, keep_logs_bounded


def test_a_long_log_is_put_aside_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "containerd.log"
    with path.open("ab") as writer:
        writer.write(b"x" * 2000)
        writer.flush()
        bound_logs(tmp_path, 1000)
        assert (path.stat().st_size, (tmp_path / "containerd.log.1").stat().st_size) == (0, 2000)
        assert (tmp_path / "containerd.log.1").stat().st_mode & 0o777 == 0o600
        writer.write(b"next")
        writer.flush()
    assert path.read_bytes() == b"next"


def test_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kubelet.log").write_bytes(b"x" * 10)
    (tmp_path / "up.log").write_bytes(b"x" * 5000)
    (tmp_path / "pods").mkdir()
    bound_logs(tmp_path, 1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kubelet.log", "pods", "up.log"]
    assert (tmp_path / "up.log").stat().st_size == 5000


async def test_it_is_done_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(logs, "bound_logs", lambda folder: bound_logs(folder, 1000))
    task = asyncio.create_task(keep_logs_bounded(tmp_path))
    try:
        for _ in range(2):
            path = tmp_path / "a.log"
            path.write_bytes(b"x" * 2000)
            async with asyncio.timeout(5):
                while path.stat().st_size:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    finally:
        task.cancel()
