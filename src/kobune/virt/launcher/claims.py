"""Disks in claims and on the node: `disk.img` in a mounted claim, a block device, or a host disk's file.

Owns making and growing those files. What is found in a claim or on the node is hostile: whoever can write there could
have put a link to a file of this container, a pipe or a file of absurd size in the disk's place. Such disks are always
raw, so that nothing in them is ever taken for an image header. All steps are idempotent.
"""

import os
import stat
from pathlib import Path

from kobune.host.disk.image import MAX_VIRTUAL_BYTES, InvalidImage
from kobune.host.files import sync_directory
from kobune.virt.domain.document import DiskSource

__all__ = ["claim_disk", "host_disk"]

_ALIGNMENT = 4096
_SECTOR = 512


def claim_disk(
    folder: Path, device: Path, field: str, *, capacity_bytes: int | None, read_only: bool = False
) -> DiskSource:
    """The disk in the claim that is mounted at `folder` or shown as `device`. Raises InvalidImage naming `field`.

    An empty claim gets a disk as large as the claim, as far as there is room; one in a claim that has grown is grown.
    """
    if device.is_block_device():
        return DiskSource(str(device), "raw", read_only, block=True)
    path = folder / "disk.img"
    status = _regular(path, field)
    if status is None:
        if read_only:
            raise InvalidImage(f"{field}: the claim has no file disk.img")
        _make(path, _room(folder, capacity_bytes))
    elif not read_only and capacity_bytes is not None:
        _grow(path, status.st_size, _room(folder, capacity_bytes, status.st_blocks * _SECTOR))
    return DiskSource(str(path), "raw", read_only)


def host_disk(path: Path, field: str, *, make_bytes: int | None) -> DiskSource:
    """The file of a host disk, made with that size when it is not there; None: it must be. Raises InvalidImage."""
    if _regular(path, field) is None:
        if make_bytes is None:
            raise InvalidImage(f"{field}: {path.name} does not exist in the folder of the node")
        _make(path, make_bytes)
    return DiskSource(str(path), "raw")


def _regular(path: Path, field: str) -> os.stat_result | None:
    """The file's facts, None when it is not there. No link is followed."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidImage(f"{field}: {path.name} cannot be looked at: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InvalidImage(f"{field}: {path.name} is not a regular file but {_kind(status.st_mode)}")
    if not 0 < status.st_size <= MAX_VIRTUAL_BYTES:
        raise InvalidImage(
            f"{field}: {path.name} has {status.st_size} bytes, which is not between 1 and {MAX_VIRTUAL_BYTES}"
        )
    return status


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"))
    return next((name for is_kind, name in kinds if is_kind(mode)), "a device or socket")


def _room(folder: Path, capacity_bytes: int | None, used_bytes: int = 0) -> int:
    """How large a disk may be: the claim's size, as far as its file system has room besides what the disk has."""
    space = os.statvfs(folder)
    room = used_bytes + space.f_bavail * space.f_frsize
    return room if capacity_bytes is None else min(room, capacity_bytes)


def _make(path: Path, size_bytes: int) -> None:
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
        try:
            os.ftruncate(descriptor, size_bytes // _ALIGNMENT * _ALIGNMENT)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
        # A guest may be told that its writes are durable: so must the name of what it writes to be.
        sync_directory(path.parent)
    except OSError as error:
        raise InvalidImage(f"{path}: cannot make the disk: {error.strerror}") from error


def _grow(path: Path, size_bytes: int, wanted_bytes: int) -> None:
    """A claim that has grown gets a larger disk; never a smaller one."""
    wanted_bytes = wanted_bytes // _ALIGNMENT * _ALIGNMENT
    if size_bytes >= wanted_bytes:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, wanted_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InvalidImage(f"{path}: cannot grow the disk: {error.strerror}") from error
