"""One running instance per data directory: the lock, and how other commands find the supervisor.

The lock is an flock, so a killed supervisor never leaves a stale one; the pid inside is for `status` and `down`.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kobune.base.errors import TerminalError

__all__ = ["InstanceRunning", "hold_instance", "running_pid", "stop_instance"]

LOCK_NAME = "kobune.lock"


class InstanceRunning(TerminalError):
    """Another supervisor holds this data directory."""

    def __init__(self, data_dir: Path, pid: int) -> None:
        super().__init__(
            f"data directory {data_dir} is in use by another kobune (pid {pid}): "
            f"stop it with 'kobune down --data-dir {data_dir}' or choose another --data-dir"
        )
        self.pid = pid


@contextmanager
def hold_instance(run_dir: Path) -> Iterator[None]:
    """Hold the instance's lock while the block runs.

    Raises InstanceRunning when another process has it.
    """
    path = run_dir / LOCK_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InstanceRunning(run_dir.parent, _read_pid(path)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _read_pid(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text().strip() or 0)
    return 0


def running_pid(run_dir: Path) -> int | None:
    """The supervisor's pid, or None when nobody holds the lock."""
    path = run_dir / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(path) or None
    finally:
        os.close(descriptor)
    return None


def stop_instance(run_dir: Path, timeout_s: float = 60.0) -> bool:
    """End the supervisor and wait until its lock is free; False when none was running.

    Raises TimeoutError when it does not end in time.
    """
    pid = running_pid(run_dir)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while running_pid(run_dir) is not None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"kobune (pid {pid}) did not stop within {timeout_s:.0f} s; see {run_dir.parent}/logs")
        time.sleep(0.05)
    return True
