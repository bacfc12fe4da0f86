"""`kobune up` says in one line why it cannot start, with exit status 1, and leaves what it found as it was."""

import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kobune.embedded.store.sqlite import APPLICATION_ID

UP = [sys.executable, "-m", "kobune.main.entry", "up", "--control-plane-only"]


def refused(data_dir: Path, port: int, *options: str) -> str:
    """What a start that must fail says; a limit far above what it needs."""
    done = subprocess.run(
        [*UP, f"--data-dir={data_dir}", f"--listen=127.0.0.1:{port}", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_store_of_a_newer_version(tmp_path: Path, port: int) -> None:
    store = tmp_path / "store.db"
    with sqlite3.connect(store) as database:
        database.execute("PRAGMA user_version = 99")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.close()
    before = store.read_bytes()
    assert "format 99" in refused(tmp_path, port)
    assert "format 99" in refused(tmp_path, port, "--detach")
    assert store.read_bytes() == before
    assert list(tmp_path.iterdir()) == [store]


def test_a_damaged_store(tmp_path: Path, port: int) -> None:
    store = tmp_path / "store.db"
    store.write_bytes(b"half a file" * 1000)
    assert "damaged" in refused(tmp_path, port)
    assert store.read_bytes() == b"half a file" * 1000
    assert list(tmp_path.iterdir()) == [store]


def test_a_store_of_another_program(tmp_path: Path, port: int) -> None:
    store = tmp_path / "store.db"
    with sqlite3.connect(store) as database:
        database.execute("PRAGMA application_id = 7")
    database.close()
    assert "another program" in refused(tmp_path, port)
    assert list(tmp_path.iterdir()) == [store]


def test_a_data_directory_that_cannot_be(tmp_path: Path, port: int) -> None:
    (tmp_path / "file").write_text("")
    assert "--data-dir" in refused(tmp_path / "file" / "data", port)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = other.getsockname()[1]
        assert f"--listen 127.0.0.1:{number} is in use" in refused(tmp_path, number)
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_in_use(tmp_path: Path, port: int) -> None:
    first = subprocess.Popen(
        [*UP, f"--data-dir={tmp_path}", f"--listen=127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    try:
        assert any(line.startswith("Ready") for line in first.stdout)
        assert f"in use by another kobune (pid {first.pid})" in refused(tmp_path, port)
    finally:
        first.terminate()
        with first.stdout:
            assert first.wait(timeout=60) == 0
