"""The directories below /sys/fs/cgroup. Removes empty cgroups; never moves or limits a process."""

import contextlib
import os
import signal
import time
from pathlib import Path

__all__ = ["Cgroups"]


class Cgroups:
    """All hierarchies at once: with version 1 a cgroup has a directory per controller."""

    def __init__(self, root: Path = Path("/sys/fs/cgroup")) -> None:
        self._root = root

    def directories(self, path: str) -> list[Path]:
        """The directories of one cgroup, by its path from the root such as `/kobune/podUID`."""
        relative = path.strip("/")
        if (self._root / "cgroup.controllers").exists():
            candidates = [self._root / relative]
        else:
            candidates = [hierarchy / relative for hierarchy in self._root.iterdir() if not hierarchy.is_symlink()]
        return [directory for directory in candidates if directory.is_dir()]

    def processes(self, path: str) -> set[int]:
        """All processes in it and below."""
        found: set[int] = set()
        for directory in self.directories(path):
            for file in directory.rglob("cgroup.procs"):
                with contextlib.suppress(OSError):
                    found |= {int(line) for line in file.read_text().split()}
        return found

    def remove(self, path: str) -> bool:
        """Remove it with everything below; False while a process is left in it. Repeatable."""
        gone = True
        for directory in self.directories(path):
            for folder, _, _ in os.walk(directory, topdown=False):
                try:
                    Path(folder).rmdir()
                except FileNotFoundError:
                    continue
                except OSError:
                    gone = False
        return gone

    def kill(self, path: str, timeout_s: float = 5.0) -> bool:
        """SIGKILL everything in it until nothing is left; False when something stays."""
        deadline = time.monotonic() + timeout_s
        while processes := self.processes(path):
            if time.monotonic() > deadline:
                return False
            for pid in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        return True
