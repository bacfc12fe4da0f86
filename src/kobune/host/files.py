"""Files that are written whole or not at all: the one way to write what must survive a crash.

Imports nothing that costs memory: the process beside each guest uses it.
"""

import os
from pathlib import Path

__all__ = ["copy_file", "sync_directory", "write_file"]


def write_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a whole file, durably, or nothing; readable by its owner alone unless `mode` says otherwise.

    Missing parents are made private.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(path.parent)


def copy_file(source: Path, target: Path) -> None:
    """Copy content, mode and times to a new file, durably; for what is too large to hold in memory."""
    import shutil

    shutil.copy2(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Make what was created, renamed or deleted in a directory survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
