"""The data of local volumes: a directory or a sparse file each, below one directory of this node.

Owns what is in that directory and nothing else on the machine. Every step can be repeated.
"""

import asyncio
import contextlib
import logging
import os
import re
import shutil
import stat
from pathlib import Path

from kobune.base.errors import RetryableError, TerminalError
from kobune.host.files import sync_directory
from kobune.host.loop import Loops
from kobune.host.mount import HostMounter, Mounter
from kobune.host.run import CommandError

__all__ = ["VolumeData"]

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"pvc-[0-9a-f-]{36}")


class VolumeData:
    """Volumes below `directory`; names come from objects that others can write, and are checked."""

    def __init__(self, directory: Path, loops: Loops, mounter: Mounter | None = None) -> None:
        self._directory = directory
        self._loops = loops
        self._mounter = mounter or HostMounter()

    def free_bytes(self) -> int:
        """What the file system of the volumes has room for now."""
        place = self._directory
        while not place.exists():
            place = place.parent
        space = os.statvfs(place)
        return space.f_bavail * space.f_frsize

    async def make(self, name: str, *, block: bool, size_bytes: int) -> None:
        """Data that is there stays."""
        path = self._path(name)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if block:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
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
        sync_directory(self._directory)

    async def grow(self, name: str, size_bytes: int) -> None:
        """Of a file; never makes it smaller."""
        path = self._path(name)
        if path.stat().st_size < size_bytes:
            os.truncate(path, size_bytes)
        await self._loops.refresh(path)

    async def erase(self, name: str) -> None:
        """Raises RetryableError while something is mounted in it: erasing would reach what is mounted."""
        path = self._path(name)
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if stat.S_ISREG(mode):
            await self._loops.detach(path)
            path.unlink()
        elif stat.S_ISDIR(mode):
            mounted = self._mounter.below(path)
            if mounted:
                raise RetryableError(f"{mounted[0]} is mounted in volume {name}: unmount it, then the volume is erased")
            # In a thread: there may be many files. It follows no links, not even such that are made meanwhile.
            await asyncio.to_thread(shutil.rmtree, path)
        else:
            raise TerminalError(f"{path} is neither a directory nor a file: it is no volume, and is left alone")

    async def detach_all(self) -> list[str]:
        """Give back every loop device; the data stays. Returns what could not be given back, as text."""
        failures = []
        for path in sorted(self._directory.iterdir()) if self._directory.is_dir() else ():
            if path.is_file() and not path.is_symlink():
                try:
                    await self._loops.detach(path)
                except CommandError as error:
                    failures.append(f"loop device of {path}: {error}")
        return failures

    async def sweep(self, known: frozenset[str]) -> None:
        """Remove what a crash left between making data and its PersistentVolume: unknown, and nothing written in it.

        Only while nothing is being made. Whatever has content stays: a kept volume may have lost its object, or a
        restore has brought back a time before it. Its loop device goes with its last user: nobody else sees to that.
        """
        for path in sorted(self._directory.iterdir()) if self._directory.is_dir() else ():
            if path.name in known or not _NAME.fullmatch(path.name) or path.is_symlink():
                continue
            if path.is_file() and await self._loops.find(path) is not None:
                await self._loops.detach(path)
                _LOG.info("gave back the loop device of a volume without an object: %s", path.name)
            elif path.is_file() and path.stat().st_blocks == 0:
                path.unlink()
                _LOG.info("removed the empty file of a volume that was never finished: %s", path.name)
            elif path.is_dir():
                # Fails for one that is not empty.
                with contextlib.suppress(OSError):
                    path.rmdir()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise TerminalError(f"{name!r} is no name of a local volume")
        return self._directory / name
