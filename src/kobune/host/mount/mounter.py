"""mount(8) and umount(8), and what the kernel says is mounted. Decides nothing about what should be."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kobune.host.run import CommandFailed, HostRunner, Runner

__all__ = ["FakeMounter", "HostMounter", "Mounter", "mount_points_below"]

TIMEOUT_S = 30.0
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mounter(Protocol):
    """Makes and removes mounts; raises CommandError."""

    async def mount(self, kind: str, source: str, target: Path, options: Sequence[str] = ()) -> None:
        """Mount at an existing directory; `kind` is a file system's name, or `bind`."""
        ...

    async def unmount(self, target: Path) -> None:
        """Unmount; what is not mounted is no error, what is busy is detached and goes with its last user."""
        ...

    def below(self, path: Path) -> list[Path]:
        """Mount points at or below a path, the deepest and newest first: the order to unmount them in."""
        ...


class HostMounter:
    """Mounts of this process' mount namespace."""

    def __init__(self, runner: Runner | None = None) -> None:
        self._runner = runner or HostRunner()

    async def mount(self, kind: str, source: str, target: Path, options: Sequence[str] = ()) -> None:
        """Mount at an existing directory."""
        if kind == "bind":
            flags = [option for option in options if option not in ("bind", "rbind", "ro")]
            recursive = "--rbind" if "rbind" in options else "--bind"
            await self._runner.run(["mount", recursive, source, str(target)], timeout_s=TIMEOUT_S)
            if "ro" in options or flags:
                # A bind mount takes its flags only by a second call.
                again = ",".join(["remount", "bind", *(["ro"] if "ro" in options else []), *flags])
                await self._runner.run(["mount", "-o", again, str(target)], timeout_s=TIMEOUT_S)
            return
        arguments = ["-o", ",".join(options)] if options else []
        await self._runner.run(["mount", "-t", kind, *arguments, source, str(target)], timeout_s=TIMEOUT_S)

    async def unmount(self, target: Path) -> None:
        """Unmount, lazily when it is busy."""
        if target not in self.below(target):
            return
        try:
            await self._runner.run(["umount", str(target)], timeout_s=TIMEOUT_S)
        except CommandFailed:
            await self._runner.run(["umount", "--lazy", str(target)], timeout_s=TIMEOUT_S)

    def below(self, path: Path) -> list[Path]:
        """Mount points at or below a path, deepest and newest first."""
        return mount_points_below(path, Path("/proc/self/mountinfo").read_text())


def mount_points_below(path: Path, mountinfo: str) -> list[Path]:
    """Pure part of `below`: proc(5) describes the format; the fifth field is the mount point, with octal escapes."""
    found: list[Path] = []
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) < 5:
            continue
        point = Path(_ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), fields[4]))
        if point == path or path in point.parents:
            found.append(point)
    return found[::-1]


class FakeMounter:
    """Remembers mounts; makes none."""

    def __init__(self) -> None:
        self.mounts: list[tuple[str, str, Path, tuple[str, ...]]] = []

    async def mount(self, kind: str, source: str, target: Path, options: Sequence[str] = ()) -> None:
        """Remember it."""
        self.mounts.append((kind, source, target, tuple(options)))

    async def unmount(self, target: Path) -> None:
        """Forget the newest mount there."""
        for index in range(len(self.mounts) - 1, -1, -1):
            if self.mounts[index][2] == target:
                del self.mounts[index]
                return

    def below(self, path: Path) -> list[Path]:
        """As the host's."""
        return [mount[2] for mount in reversed(self.mounts) if mount[2] == path or path in mount[2].parents]
