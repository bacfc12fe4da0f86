"""What is in a container, and what is given to it or taken from it, by processes that run in it.

Owns finding the processes of a pod and the calls of `inside`. Everything is looked up in /proc: nothing is remembered.
"""

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from kobune.base.errors import RetryableError
from kobune.host.mount.mounter import mount_points_below
from kobune.host.run import Runner

__all__ = ["ContainerFiles", "FakeContainerFiles", "HostContainerFiles", "NotThere"]

TIMEOUT_S: Final = 20.0


class NotThere(RetryableError):
    """The pod has no process that has what was asked for, or the process has ended."""


class ContainerFiles(Protocol):
    """Raises NotThere and CommandError. Paths are the kernel's: no part of them is a symbolic link."""

    def mounts(self, pid: int, folder: str) -> set[str]:
        """Names of the mount points directly in a folder of the container that a process is in."""
        ...

    def block_devices(self, pid: int, folder: str) -> dict[str, tuple[int, int]]:
        """Block devices in a folder of the container, with their numbers (major, minor)."""
        ...

    def process_with_mount(self, pod_uid: str, path: str) -> int:
        """A process of the pod in whose container something is mounted at `path`."""
        ...

    def process_with_device(self, pod_uid: str, path: str) -> tuple[int, tuple[int, int]]:
        """A process of the pod whose container has a block device at `path`, and the device's numbers."""
        ...

    async def mount(self, source_pid: int, source: str, pid: int, path: str) -> None:
        """Show a mount of one container in another. Nothing happens when something is mounted there."""
        ...

    async def unmount(self, pid: int, path: str) -> None:
        """Repeatable."""
        ...

    async def make_device(self, pid: int, path: str, numbers: tuple[int, int], owner: int) -> None:
        """A block device that `owner` (uid and gid) may use, allowed by the container's device rules. Repeatable."""
        ...

    async def remove_device(self, pid: int, path: str, numbers: tuple[int, int]) -> None:
        """Repeatable."""
        ...


class HostContainerFiles:
    """Containers of this machine; needs root and the host's pid namespace."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def mounts(self, pid: int, folder: str) -> set[str]:
        """See ContainerFiles."""
        points = mount_points_below(Path(folder), _mountinfo(pid))
        return {point.name for point in points if point.parent == Path(folder)}

    def block_devices(self, pid: int, folder: str) -> dict[str, tuple[int, int]]:
        """See ContainerFiles."""
        found = {}
        try:
            with os.scandir(f"/proc/{pid}/root{folder}") as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISBLK(status.st_mode) and not entry.name.endswith(".new"):
                        found[entry.name] = (os.major(status.st_rdev), os.minor(status.st_rdev))
        except FileNotFoundError:
            return {}
        except ProcessLookupError as error:
            raise NotThere(f"process {pid} has ended") from error
        return found

    def process_with_mount(self, pod_uid: str, path: str) -> int:
        """See ContainerFiles."""
        for pid in _processes(pod_uid):
            try:
                if Path(path) in mount_points_below(Path(path), _mountinfo(pid)):
                    return pid
            except NotThere:
                continue
        raise NotThere(f"nothing is mounted at {path} in pod {pod_uid} yet")

    def process_with_device(self, pod_uid: str, path: str) -> tuple[int, tuple[int, int]]:
        """See ContainerFiles."""
        for pid in _processes(pod_uid):
            try:
                status = os.stat(f"/proc/{pid}/root{path}", follow_symlinks=False)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if stat.S_ISBLK(status.st_mode):
                return pid, (os.major(status.st_rdev), os.minor(status.st_rdev))
        raise NotThere(f"pod {pod_uid} has no block device {path} yet")

    async def mount(self, source_pid: int, source: str, pid: int, path: str) -> None:
        """See ContainerFiles."""
        await self._inside("mount", str(source_pid), source, str(pid), path)

    async def unmount(self, pid: int, path: str) -> None:
        """See ContainerFiles."""
        await self._inside("unmount", str(pid), path)

    async def make_device(self, pid: int, path: str, numbers: tuple[int, int], owner: int) -> None:
        """See ContainerFiles."""
        await self._inside("device", str(pid), path, str(numbers[0]), str(numbers[1]), str(owner))

    async def remove_device(self, pid: int, path: str, numbers: tuple[int, int]) -> None:
        """See ContainerFiles."""
        await self._inside("no-device", str(pid), path, str(numbers[0]), str(numbers[1]))

    async def _inside(self, *arguments: str) -> None:
        command = [sys.executable, "-sPm", "kobune.host.containerfs.inside", *arguments]
        await self._runner.run(command, timeout_s=TIMEOUT_S)


def _processes(pod_uid: str) -> Iterator[int]:
    """Processes whose control group is a pod's: kubelets put the uid into its path, systemd wants it with `_`."""
    pattern = re.compile(f"pod({re.escape(pod_uid)}|{re.escape(pod_uid.replace('-', '_'))})")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                told = Path(f"/proc/{entry}/cgroup").read_text()
            except OSError:  # it has ended
                continue
            if pattern.search(told):
                yield int(entry)


def _mountinfo(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError as error:
        raise NotThere(f"process {pid} has ended") from error


class FakeContainerFiles:
    """Remembers; `pods` has what the containers of a pod hold: a path and None for a mount, or device numbers."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, tuple[int, int] | None]] = {}
        self.given: dict[str, tuple[int, int] | None] = {}
        """What the launcher's container was given, by path."""
        self.calls: list[str] = []

    def mounts(self, pid: int, folder: str) -> set[str]:
        """See ContainerFiles."""
        del pid
        return {Path(path).name for path, kind in self.given.items() if kind is None and path.startswith(f"{folder}/")}

    def block_devices(self, pid: int, folder: str) -> dict[str, tuple[int, int]]:
        """See ContainerFiles."""
        del pid
        return {Path(path).name: kind for path, kind in self.given.items() if kind and path.startswith(f"{folder}/")}

    def process_with_mount(self, pod_uid: str, path: str) -> int:
        """See ContainerFiles."""
        if self.pods.get(pod_uid, {}).get(path, ()) is None:
            return 1000
        raise NotThere(f"nothing is mounted at {path} in pod {pod_uid} yet")

    def process_with_device(self, pod_uid: str, path: str) -> tuple[int, tuple[int, int]]:
        """See ContainerFiles."""
        found = self.pods.get(pod_uid, {}).get(path)
        if found is None:
            raise NotThere(f"pod {pod_uid} has no block device {path} yet")
        return 1000, found

    async def mount(self, source_pid: int, source: str, pid: int, path: str) -> None:
        """See ContainerFiles."""
        del source_pid, pid
        self.calls.append(f"mount {source} {path}")
        self.given[path] = None

    async def unmount(self, pid: int, path: str) -> None:
        """See ContainerFiles."""
        del pid
        self.calls.append(f"unmount {path}")
        self.given.pop(path, None)

    async def make_device(self, pid: int, path: str, numbers: tuple[int, int], owner: int) -> None:
        """See ContainerFiles."""
        del pid, owner
        self.calls.append(f"device {path}")
        self.given[path] = numbers

    async def remove_device(self, pid: int, path: str, numbers: tuple[int, int]) -> None:
        """See ContainerFiles."""
        del pid, numbers
        self.calls.append(f"no-device {path}")
        self.given.pop(path, None)
