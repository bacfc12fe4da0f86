"""The data of local volumes: a directory or a sparse file each, below one directory of this node."""

import os
import re
import shutil
from pathlib import Path

from kobune.base.errors import TerminalError
from kobune.host.loop import LoopDevices

__all__ = ["VolumeData"]

_NAME = re.compile(r"^pvc-[0-9a-f-]{36}$")


class VolumeData:
    """Volumes below `directory`; names come from objects that others can write, and are checked."""

    def __init__(self, directory: Path, loops: LoopDevices) -> None:
        self._directory = directory
        self._loops = loops

    async def make(self, name: str, *, block: bool, size_bytes: int) -> None:
        """Repeatable; data that is there stays."""
        path = self._path(name)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if block:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.fstat(descriptor).st_size < size_bytes:
                    os.ftruncate(descriptor, size_bytes)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        else:
            path.mkdir(exist_ok=True)
            # Like a new file system: the pod's user may have any number.
            path.chmod(0o777)

    async def grow(self, name: str, size_bytes: int) -> None:
        """Of a file; never makes it smaller."""
        path = self._path(name)
        if path.stat().st_size < size_bytes:
            os.truncate(path, size_bytes)
        await self._loops.refresh(path)

    async def erase(self, name: str) -> None:
        """Repeatable."""
        path = self._path(name)
        if path.is_file():
            await self._loops.detach(path)
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)

    async def detach_all(self) -> None:
        """Give back every loop device; the data stays."""
        if self._directory.is_dir():
            for path in sorted(self._directory.iterdir()):
                if path.is_file():
                    await self._loops.detach(path)

    def _path(self, name: str) -> Path:
        if not _NAME.match(name):
            raise TerminalError(f"{name!r} is no name of a local volume")
        return self._directory / name
