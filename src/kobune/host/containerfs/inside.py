"""A program of its own, run as `python -m kobune.host.containerfs.inside VERB ...` by `files`.

Owns the system calls that move a mount between mount namespaces, make device nodes in one, and let a container's
control group open a device. It runs as root, does one thing, and ends; everything is done in the namespace of the
container, so that a link that its owner put there leads to nothing of the host's. Imports the standard library alone.

    mount SOURCE_PROCESS SOURCE_PATH PROCESS PATH  a directory that is a mount of one container, shown in another
    unmount PROCESS PATH                           repeatable
    device PROCESS PATH MAJOR MINOR OWNER          a block device that the container may open; repeatable
    no-device PROCESS PATH MAJOR MINOR             repeatable

A process is named by its directory in /proc, of which the caller holds a descriptor: `HeldProcess.path`.
"""

import ctypes
import os
import stat
import struct
import sys
from pathlib import Path

from kobune.host.containerfs.devicefilter import DEFAULT_RULES, DeviceRule, device_filter

__all__ = ["main"]

_libc = ctypes.CDLL(None, use_errno=True)
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_BPF = {"x86_64": 321, "aarch64": 280}
_AT_FDCWD, _AT_EMPTY_PATH, _AT_SYMLINK_NOFOLLOW = -100, 0x1000, 0x100
_CLONE_MOUNT, _CLOSE_ON_EXEC, _MOVE_FROM_EMPTY_PATH = 1, os.O_CLOEXEC, 4
_DETACH, _NO_FOLLOW = 2, 8
_NO_SUID_DEV_EXEC = 2 | 4 | 8
_NEW_MOUNTS, _NEW_CGROUP = 0x00020000, 0x02000000
_PROGRAM_LOAD, _ATTACH, _DETACH_PROGRAM, _BY_ID, _QUERY = 5, 8, 9, 13, 16
_CGROUP_DEVICE_PROGRAM, _CGROUP_DEVICE, _ALLOW_MULTI = 15, 6, 2
_MAX_PROGRAMS = 64
NODE_MODE = 0o660


def main(arguments: list[str]) -> None:
    """Do what the arguments say; raises OSError."""
    verb, rest = arguments[0], arguments[1:]
    if verb == "mount":
        _mount(rest[0], rest[1], rest[2], rest[3])
    elif verb == "unmount":
        _unmount(rest[0], rest[1])
    elif verb == "device":
        _device(rest[0], rest[1], (int(rest[2]), int(rest[3])), int(rest[4]))
    elif verb == "no-device":
        _no_device(rest[0], rest[1], (int(rest[2]), int(rest[3])))
    else:
        raise ValueError(f"no such verb: {verb}")


def _mount(source_process: str, source: str, process: str, path: str) -> None:
    there = _namespace(process, "mnt")
    if _mounts_at(process, path):
        return
    _enter(_namespace(source_process, "mnt"), _NEW_MOUNTS)
    tree = _check(
        _libc.syscall(_OPEN_TREE, _AT_FDCWD, source.encode(), _CLONE_MOUNT | _CLOSE_ON_EXEC | _AT_SYMLINK_NOFOLLOW),
        f"open_tree {source}",
    )
    attributes = ctypes.create_string_buffer(_NO_SUID_DEV_EXEC.to_bytes(8, "little") + bytes(24))
    # What a claim holds is data. A kernel that cannot set this on a tree (before 5.12) leaves it as it was mounted.
    _libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, 32)
    _enter(there, _NEW_MOUNTS)
    os.makedirs(path, mode=0o755, exist_ok=True)
    _check(_libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, path.encode(), _MOVE_FROM_EMPTY_PATH), f"move_mount {path}")


def _unmount(process: str, path: str) -> None:
    mounts = _mounts_at(process, path)
    _enter(_namespace(process, "mnt"), _NEW_MOUNTS)
    for _ in range(mounts):
        _check(_libc.umount2(path.encode(), _DETACH | _NO_FOLLOW), f"umount {path}")
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass


def _mounts_at(process: str, path: str) -> int:
    """Asked before the namespace is entered: the container's own /proc does not know this process."""
    lines = Path(f"{process}/mountinfo").read_text().splitlines()
    return sum(1 for line in lines if line.split()[4] == path)


def _device(process: str, path: str, numbers: tuple[int, int], owner: int) -> None:
    there = _namespace(process, "mnt")
    _enter(there, _NEW_MOUNTS, fork=True, work=lambda: _make_node(path, numbers, owner))
    _Devices(process).allow(numbers)


def _no_device(process: str, path: str, numbers: tuple[int, int]) -> None:
    there = _namespace(process, "mnt")
    _enter(there, _NEW_MOUNTS, fork=True, work=lambda: Path(path).unlink(missing_ok=True))
    _Devices(process).forbid(numbers)


def _make_node(path: str, numbers: tuple[int, int], owner: int) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.new"
    Path(temporary).unlink(missing_ok=True)
    os.mknod(temporary, stat.S_IFBLK | 0o600, os.makedev(*numbers))
    os.chown(temporary, owner, owner, follow_symlinks=False)
    os.chmod(temporary, NODE_MODE)
    os.rename(temporary, path)


class _Devices:
    """The device rules of a container's control group, as the host sees it."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._root = Path("/sys/fs/cgroup")
        try:
            # In a container of our own, paths would be relative to it.
            _enter(_namespace("/proc/1", "cgroup"), _NEW_CGROUP)
            self._root = Path("/proc/1/root/sys/fs/cgroup")
        except PermissionError:
            pass  # the first process is not ours to look at: a machine where nobody but it is in such a container
        self._paths = {}
        for line in Path(f"{process}/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            for name in controllers.split(",") if number != "0" else ("unified",):
                self._paths[name] = path.lstrip("/")

    def allow(self, numbers: tuple[int, int]) -> None:
        if "devices" in self._paths:
            self._version_1("allow", numbers)
        else:
            self._version_2()

    def forbid(self, numbers: tuple[int, int]) -> None:
        if "devices" in self._paths:
            self._version_1("deny", numbers)
        else:
            self._version_2()

    def _version_1(self, word: str, numbers: tuple[int, int]) -> None:
        file = self._root / "devices" / self._paths["devices"] / f"devices.{word}"
        file.write_text(f"b {numbers[0]}:{numbers[1]} rwm")

    def _version_2(self) -> None:
        group = self._root / self._paths["unified"]
        replace_filter(group, [*DEFAULT_RULES, *_nodes_of(self._process)])


def _nodes_of(process: str) -> list[DeviceRule]:
    """The devices that a container has nodes of: those, and no others, were given to it, for it can't make any."""
    rules = []
    for folder, _, names in os.walk(f"{process}/root/dev"):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
                rules.append(
                    DeviceRule(
                        block=stat.S_ISBLK(status.st_mode),
                        major=os.major(status.st_rdev),
                        minor=os.minor(status.st_rdev),
                    )
                )
    return rules


def replace_filter(group: Path, rules: list[DeviceRule]) -> None:
    """Make these the device rules of a control group of version 2, in place of all that it has. Raises OSError."""
    directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    before = _attached(directory)
    code = ctypes.create_string_buffer(device_filter(rules))
    license_ = ctypes.create_string_buffer(b"Apache-2.0")
    load = _words(_CGROUP_DEVICE_PROGRAM, len(code.raw) // 8, ctypes.addressof(code), ctypes.addressof(license_))
    program = _bpf(_PROGRAM_LOAD, load)
    # Programs are all asked and each may refuse: so ours comes first, and then the old ones go.
    _bpf(_ATTACH, _words(directory, program, _CGROUP_DEVICE, _ALLOW_MULTI, sizes="IIII"))
    for known in before:
        old = _bpf(_BY_ID, _words(known, 0, 0, sizes="III"))
        _bpf(_DETACH_PROGRAM, _words(directory, old, _CGROUP_DEVICE, 0, sizes="IIII"))


def _attached(directory: int) -> list[int]:
    found = (ctypes.c_uint32 * _MAX_PROGRAMS)()
    query = _words(directory, _CGROUP_DEVICE, 0, 0, ctypes.addressof(found), _MAX_PROGRAMS, sizes="IIIIQI")
    _bpf(_QUERY, query)
    return [number for number in found if number]


def _words(*values: int, sizes: str = "IIQQ") -> bytes:
    return struct.pack("<" + sizes, *values).ljust(128, b"\0")


def _bpf(command: int, attributes: bytes) -> int:
    number = _BPF.get(os.uname().machine)
    if number is None:
        raise OSError(f"device rules of cgroup v2 are not known for {os.uname().machine}")
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return _check(_libc.syscall(number, command, buffer, len(attributes)), f"bpf {command}")


def _namespace(process: str, kind: str) -> int:
    return os.open(f"{process}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def _enter(namespace: int, kind: int, *, fork: bool = False, work: object = None) -> None:
    """Enter for good, or do `work` in a child that enters."""
    if not fork:
        _check(_libc.setns(namespace, kind), "setns")
        return
    assert callable(work)
    child = os.fork()
    if child == 0:
        try:
            _check(_libc.setns(namespace, kind), "setns")
            work()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error}\n".encode())
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if status:
        raise OSError("it could not be done in the container's namespace")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError, IndexError) as failure:
        sys.exit(f"{failure}")
