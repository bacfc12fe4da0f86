"""Other processes, held fast, and files inside their root directories, reached without following their symlinks.

Owns two kinds of safety. A process id is only a number, which the kernel gives to somebody else once its process has
ended: `HeldProcess` means one process for good, and says whether it belongs to a control group. And a container's owner
may put a symbolic link anywhere it can write, which would lead into *our* root: every component of a path is opened
with O_NOFOLLOW, so that a link raises `UnsafePath`.
"""

import errno
import os
import stat

from kobune.base.errors import RetryableError, TerminalError

__all__ = [
    "ForeignProcess",
    "HeldProcess",
    "ProcessGone",
    "UnsafePath",
    "grant_block_device",
    "grant_device",
    "grant_devices_below",
    "open_inside",
    "read_text",
]


class ProcessGone(RetryableError):
    """The process whose root was asked for has ended."""


class ForeignProcess(RetryableError):
    """The process does not belong to the control group that it was said to be in; nothing was touched."""


class UnsafePath(TerminalError):
    """A path in a container is not what it should be; nothing was touched."""


class HeldProcess:
    """One process, named by a descriptor of its directory in /proc: when it has ended, every use raises ProcessGone,
    also when its number was given to another one.

    The descriptor is closed with the last reference, so that a thread that still uses it never meets another file
    under its number.
    """

    def __init__(self, pid: int) -> None:
        """Hold whoever has that number now; raises ProcessGone."""
        self.pid = pid
        self._descriptor = -1
        try:
            self._descriptor = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError) as error:
            raise ProcessGone(f"process {pid} has ended") from error

    @classmethod
    def of_group(cls, pid: int, group: str) -> "HeldProcess":
        """Hold a process of a control group whose path has `group` in it; raises ForeignProcess for any other.

        A pod's uid is such a word: its dashes may be underscores, as systemd's names of slices need them.
        """
        held = cls(pid)
        with os.fdopen(held.open("cgroup", os.O_RDONLY), "rb") as file:
            paths = file.read(65536).decode("utf-8", "replace")
        if not group or group not in paths.replace("_", "-"):
            raise ForeignProcess(f"process {pid} does not belong to {group or 'anybody'}")
        return held

    def open(self, name: str, flags: int) -> int:
        """A descriptor of a file of its directory in /proc; links there are the kernel's, and followed."""
        try:
            return os.open(name, flags | os.O_CLOEXEC, dir_fd=self._descriptor)
        except (FileNotFoundError, ProcessLookupError) as error:
            raise ProcessGone(f"process {self.pid} has ended") from error

    @property
    def path(self) -> str:
        """Its directory in /proc under a name that other programs of this user can open, as long as this object is
        referred to: no number of a process is looked up by it again."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def read_text(process: HeldProcess, path: str, *, limit_bytes: int = 65536) -> str:
    """The beginning of a regular file in the root of `process`.

    Raises FileNotFoundError, ProcessGone and UnsafePath. Undecodable bytes become replacement characters.
    """
    descriptor = open_inside(process, path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnsafePath(f"{path} in the container of process {process.pid} is no regular file")
        return os.read(descriptor, limit_bytes).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def grant_device(process: HeldProcess, path: str, numbers: tuple[int, int], gid: int) -> None:
    """Let group `gid` read and write the character device `numbers` (major, minor) at `path` in the root of `process`.

    The node is the container's own; the host's device keeps its mode. Raises FileNotFoundError when the container
    was not given the device, ProcessGone, and UnsafePath when the path is anything else.
    """
    descriptor = open_inside(process, path, os.O_PATH)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISCHR(status.st_mode) or (os.major(status.st_rdev), os.minor(status.st_rdev)) != numbers:
            raise UnsafePath(
                f"{path} in the container of process {process.pid} is not device {numbers[0]}:{numbers[1]}"
            )
        _grant(descriptor, status, gid)
    finally:
        os.close(descriptor)


def grant_block_device(process: HeldProcess, path: str, gid: int) -> None:
    """Let group `gid` read and write the block device at `path` in the root of `process`, whichever it is.

    Which block devices a container has is decided by who made it; raises as `grant_device`.
    """
    descriptor = open_inside(process, path, os.O_PATH)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISBLK(status.st_mode):
            raise UnsafePath(f"{path} in the container of process {process.pid} is no block device")
        _grant(descriptor, status, gid)
    finally:
        os.close(descriptor)


def grant_devices_below(process: HeldProcess, folder: str, gid: int, *, depth: int = 1) -> list[str]:
    """Let group `gid` read and write all character devices in a folder of the root of `process`, `depth` levels down.

    Which devices a container has is decided by who made it. Links and other files are left alone. Returns the paths;
    a folder that is not there has none. Raises as `grant_device`.
    """
    try:
        descriptor = open_inside(process, folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return []
    try:
        names = sorted(os.listdir(descriptor))
    finally:
        os.close(descriptor)
    granted: list[str] = []
    for name in names:
        path = f"{folder}/{name}"
        descriptor = open_inside(process, path, os.O_PATH, links=True)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISCHR(status.st_mode):
                _grant(descriptor, status, gid)
                granted.append(path)
        finally:
            os.close(descriptor)
        if stat.S_ISDIR(status.st_mode) and depth > 1:
            granted += grant_devices_below(process, path, gid, depth=depth - 1)
    return granted


def _grant(descriptor: int, status: os.stat_result, gid: int) -> None:
    if status.st_gid != gid or stat.S_IMODE(status.st_mode) & 0o060 != 0o060:
        # A descriptor opened with O_PATH can't be changed directly; its /proc name can, and follows to it alone.
        name = f"/proc/self/fd/{descriptor}"
        os.chown(name, -1, gid)
        os.chmod(name, 0o660)


def open_inside(process: HeldProcess, path: str, flags: int, *, links: bool = False) -> int:
    """A descriptor of a file or directory in the root of `process`, reached without following a link.

    With `links`, a link at the end is opened itself, which needs O_PATH.

    Raises FileNotFoundError, ProcessGone and UnsafePath.
    """
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts:
        raise ValueError(f"{path!r} is no absolute path of a file")
    current = process.open("root", os.O_PATH | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            following = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = following
        descriptor = os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
        if not links and stat.S_ISLNK(os.fstat(descriptor).st_mode):  # O_PATH opens the link itself
            os.close(descriptor)
            raise UnsafePath(f"{path} in the container of process {process.pid} is a symbolic link")
        return descriptor
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UnsafePath(
                f"{path} in the container of process {process.pid} leads through a symbolic link"
            ) from error
        raise
    finally:
        os.close(current)
