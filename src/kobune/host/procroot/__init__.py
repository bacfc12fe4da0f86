"""Files inside the root directory of another process, reached through /proc/PID/root without following its symlinks.

Owns safe path walking: a container's owner may put a symbolic link anywhere it can write, and a link that we followed
would lead into *our* root. Every component is opened with O_NOFOLLOW, so a link raises `UnsafePath`.
"""

import errno
import os
import stat

from kobune.base.errors import RetryableError, TerminalError

__all__ = ["ProcessGone", "UnsafePath", "grant_block_device", "grant_device", "read_text"]


class ProcessGone(RetryableError):
    """The process whose root was asked for has ended."""


class UnsafePath(TerminalError):
    """A path in a container is not what it should be; nothing was touched."""


def read_text(pid: int, path: str, *, limit_bytes: int = 65536) -> str:
    """The beginning of a regular file in the root of `pid`.

    Raises FileNotFoundError, ProcessGone and UnsafePath. Undecodable bytes become replacement characters.
    """
    descriptor = _open(pid, path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnsafePath(f"{path} in the container of process {pid} is no regular file")
        return os.read(descriptor, limit_bytes).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def grant_device(pid: int, path: str, numbers: tuple[int, int], gid: int) -> None:
    """Let group `gid` read and write the character device `numbers` (major, minor) at `path` in the root of `pid`.

    The node is the container's own; the host's device keeps its mode. Raises FileNotFoundError when the container
    was not given the device, ProcessGone, and UnsafePath when the path is anything else.
    """
    descriptor = _open(pid, path, os.O_PATH)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISCHR(status.st_mode) or (os.major(status.st_rdev), os.minor(status.st_rdev)) != numbers:
            raise UnsafePath(f"{path} in the container of process {pid} is not device {numbers[0]}:{numbers[1]}")
        _grant(descriptor, status, gid)
    finally:
        os.close(descriptor)


def grant_block_device(pid: int, path: str, gid: int) -> None:
    """Let group `gid` read and write the block device at `path` in the root of `pid`, whichever it is.

    Which block devices a container has is decided by who made it; raises as `grant_device`.
    """
    descriptor = _open(pid, path, os.O_PATH)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISBLK(status.st_mode):
            raise UnsafePath(f"{path} in the container of process {pid} is no block device")
        _grant(descriptor, status, gid)
    finally:
        os.close(descriptor)


def _grant(descriptor: int, status: os.stat_result, gid: int) -> None:
    if status.st_gid != gid or stat.S_IMODE(status.st_mode) & 0o060 != 0o060:
        # A descriptor opened with O_PATH can't be changed directly; its /proc name can, and follows to it alone.
        name = f"/proc/self/fd/{descriptor}"
        os.chown(name, -1, gid)
        os.chmod(name, 0o660)


def _open(pid: int, path: str, flags: int) -> int:
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts:
        raise ValueError(f"{path!r} is no absolute path of a file")
    try:
        current = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessGone(f"process {pid} has ended") from error
    try:
        for part in parts[:-1]:
            following = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = following
        descriptor = os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
        if stat.S_ISLNK(os.fstat(descriptor).st_mode):  # O_PATH opens the link itself
            os.close(descriptor)
            raise UnsafePath(f"{path} in the container of process {pid} is a symbolic link")
        return descriptor
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UnsafePath(f"{path} in the container of process {pid} leads through a symbolic link") from error
        raise
    finally:
        os.close(current)
