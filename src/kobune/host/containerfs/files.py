"""What is in a container, and what is given to it or taken from it, by processes that run in it.

Owns finding the processes of a pod and the calls of `inside`. Everything is looked up in /proc: nothing is remembered.
Processes are held, not numbered: whoever has a number by the time that something is done is not meant.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from kobune.base.errors import RetryableError
from kobune.host.mount.mounter import mount_points_below
from kobune.host.procroot import ForeignProcess, HeldProcess, ProcessGone, UnsafePath, open_inside
from kobune.host.run import Runner

__all__ = ["ContainerFiles", "FakeContainerFiles", "HostContainerFiles", "NotThere"]

TIMEOUT_S: Final = 20.0


class NotThere(RetryableError):
    """The pod has no process that has what was asked for."""


class ContainerFiles(Protocol):
    """Raises NotThere, ProcessGone, UnsafePath and CommandError. Paths are the kernel's: no part of them is a
    symbolic link."""

    def mounts(self, process: HeldProcess, folder: str) -> set[str]:
        """Names of the mount points directly in a folder of the container that the process is in."""
        ...

    def block_devices(self, process: HeldProcess, folder: str) -> dict[str, tuple[int, int]]:
        """Block devices in a folder of the container, with their numbers (major, minor)."""
        ...

    def process_with_mount(self, pod_uid: str, path: str) -> HeldProcess:
        """A process of the pod in whose container something is mounted at `path`."""
        ...

    def process_with_device(self, pod_uid: str, path: str) -> tuple[HeldProcess, tuple[int, int]]:
        """A process of the pod whose container has a block device at `path`, and the device's numbers."""
        ...

    async def mount(self, source_process: HeldProcess, source: str, process: HeldProcess, path: str) -> None:
        """Show a mount of one container in another. Nothing happens when something is mounted there."""
        ...

    async def unmount(self, process: HeldProcess, path: str) -> None:
        """Repeatable."""
        ...

    async def make_device(self, process: HeldProcess, path: str, numbers: tuple[int, int], owner: int) -> None:
        """A block device that `owner` (uid and gid) may use, allowed by the container's device rules. Repeatable."""
        ...

    async def remove_device(self, process: HeldProcess, path: str, numbers: tuple[int, int]) -> None:
        """Repeatable."""
        ...


class HostContainerFiles:
    """Containers of this machine; needs root and the host's pid namespace."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def mounts(self, process: HeldProcess, folder: str) -> set[str]:
        """See ContainerFiles."""
        points = mount_points_below(Path(folder), _mountinfo(process))
        return {point.name for point in points if point.parent == Path(folder)}

    def block_devices(self, process: HeldProcess, folder: str) -> dict[str, tuple[int, int]]:
        """See ContainerFiles."""
        found = {}
        try:
            directory = open_inside(process, folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return {}
        try:
            for name in os.listdir(directory):
                with contextlib.suppress(FileNotFoundError):  # it was taken away just now
                    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    if stat.S_ISBLK(status.st_mode) and not name.endswith(".new"):
                        found[name] = _numbers(status)
        finally:
            os.close(directory)
        return found

    def process_with_mount(self, pod_uid: str, path: str) -> HeldProcess:
        """See ContainerFiles."""
        for process in _processes(pod_uid):
            with contextlib.suppress(ProcessGone):
                if Path(path) in mount_points_below(Path(path), _mountinfo(process)):
                    return process
        raise NotThere(f"nothing is mounted at {path} in pod {pod_uid} yet")

    def process_with_device(self, pod_uid: str, path: str) -> tuple[HeldProcess, tuple[int, int]]:
        """See ContainerFiles."""
        for process in _processes(pod_uid):
            with contextlib.suppress(FileNotFoundError, ProcessGone, UnsafePath):
                descriptor = open_inside(process, path, os.O_PATH)
                status = os.fstat(descriptor)
                os.close(descriptor)
                if stat.S_ISBLK(status.st_mode):
                    return process, _numbers(status)
        raise NotThere(f"pod {pod_uid} has no block device {path} yet")

    async def mount(self, source_process: HeldProcess, source: str, process: HeldProcess, path: str) -> None:
        """See ContainerFiles."""
        await self._inside("mount", source_process.path, source, process.path, path)

    async def unmount(self, process: HeldProcess, path: str) -> None:
        """See ContainerFiles."""
        await self._inside("unmount", process.path, path)

    async def make_device(self, process: HeldProcess, path: str, numbers: tuple[int, int], owner: int) -> None:
        """See ContainerFiles."""
        await self._inside("device", process.path, path, str(numbers[0]), str(numbers[1]), str(owner))

    async def remove_device(self, process: HeldProcess, path: str, numbers: tuple[int, int]) -> None:
        """See ContainerFiles."""
        await self._inside("no-device", process.path, path, str(numbers[0]), str(numbers[1]))

    async def _inside(self, *arguments: str) -> None:
        command = [sys.executable, "-sPm", "kobune.host.containerfs.inside", *arguments]
        await self._runner.run(command, timeout_s=TIMEOUT_S)


def _processes(pod_uid: str) -> Iterator[HeldProcess]:
    """Processes whose control group is a pod's: kubelets put the uid into its path, systemd wants it with `_`."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                process = HeldProcess.of_group(int(entry), f"pod{pod_uid}")
            except (ProcessGone, ForeignProcess, OSError):
                continue
            yield process


def _mountinfo(process: HeldProcess) -> str:
    with os.fdopen(process.open("mountinfo", os.O_RDONLY), "rb") as file:
        return file.read().decode("utf-8", "surrogateescape")


def _numbers(status: os.stat_result) -> tuple[int, int]:
    return os.major(status.st_rdev), os.minor(status.st_rdev)


class FakeContainerFiles:
    """Remembers; `pods` has what the containers of a pod hold: a path and None for a mount, or device numbers."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, tuple[int, int] | None]] = {}
        self.given: dict[str, tuple[int, int] | None] = {}
        """What the launcher's container was given, by path."""
        self.calls: list[str] = []

    def mounts(self, process: HeldProcess, folder: str) -> set[str]:
        """See ContainerFiles."""
        del process
        return {Path(path).name for path, kind in self.given.items() if kind is None and path.startswith(f"{folder}/")}

    def block_devices(self, process: HeldProcess, folder: str) -> dict[str, tuple[int, int]]:
        """See ContainerFiles."""
        del process
        return {Path(path).name: kind for path, kind in self.given.items() if kind and path.startswith(f"{folder}/")}

    def process_with_mount(self, pod_uid: str, path: str) -> HeldProcess:
        """See ContainerFiles."""
        if self.pods.get(pod_uid, {}).get(path, ()) is None:
            return HeldProcess(os.getpid())
        raise NotThere(f"nothing is mounted at {path} in pod {pod_uid} yet")

    def process_with_device(self, pod_uid: str, path: str) -> tuple[HeldProcess, tuple[int, int]]:
        """See ContainerFiles."""
        found = self.pods.get(pod_uid, {}).get(path)
        if found is None:
            raise NotThere(f"pod {pod_uid} has no block device {path} yet")
        return HeldProcess(os.getpid()), found

    async def mount(self, source_process: HeldProcess, source: str, process: HeldProcess, path: str) -> None:
        """See ContainerFiles."""
        del source_process, process
        self.calls.append(f"mount {source} {path}")
        self.given[path] = None

    async def unmount(self, process: HeldProcess, path: str) -> None:
        """See ContainerFiles."""
        del process
        self.calls.append(f"unmount {path}")
        self.given.pop(path, None)

    async def make_device(self, process: HeldProcess, path: str, numbers: tuple[int, int], owner: int) -> None:
        """See ContainerFiles."""
        del process, owner
        self.calls.append(f"device {path}")
        self.given[path] = numbers

    async def remove_device(self, process: HeldProcess, path: str, numbers: tuple[int, int]) -> None:
        """See ContainerFiles."""
        del process, numbers
        self.calls.append(f"no-device {path}")
        self.given.pop(path, None)
