"""Network namespaces of other processes: held open by a descriptor, entered by nsenter for one command at a time.

Owns entering; what a command does in there belongs to its caller. A namespace is named by a descriptor rather than by
a pid, so that a pid that was used again can never lead into a stranger's network.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from kobune.base.errors import RetryableError
from kobune.host.procroot import HeldProcess, ProcessGone
from kobune.host.run import Completed, Launch, Runner, RunningProcess, StandardStream

__all__ = ["HOST", "NamespaceGone", "NetworkNamespace"]


class NamespaceGone(RetryableError):
    """The process whose namespace was asked for has ended."""


class NetworkNamespace:
    """An open network namespace; a context manager that closes its descriptor.

    `HOST` stands for the namespace that this process is in.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def of_process(cls, pid: int) -> "NetworkNamespace":
        """The namespace that `pid` is in now; raises NamespaceGone."""
        return cls.at(Path(f"/proc/{pid}/ns/net"))

    @classmethod
    def of_held(cls, process: HeldProcess) -> "NetworkNamespace":
        """The namespace that a held process is in now; raises NamespaceGone."""
        try:
            return cls(process.open("ns/net", os.O_RDONLY))
        except ProcessGone as error:
            raise NamespaceGone(str(error)) from error

    @classmethod
    def at(cls, path: Path) -> "NetworkNamespace":
        """The namespace bound to a path, such as /run/netns/NAME; raises NamespaceGone."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except (FileNotFoundError, ProcessLookupError) as error:
            raise NamespaceGone(f"there is no network namespace at {path}") from error

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: equal for the same namespace, as long as somebody holds it."""
        status = os.stat("/proc/self/ns/net") if self._descriptor is None else os.fstat(self._descriptor)
        return status.st_dev, status.st_ino

    async def run(
        self, runner: Runner, args: Sequence[str], *, timeout_s: float, stdin: bytes | None = None, check: bool = True
    ) -> Completed:
        """Run a program inside; see `Runner.run`. Its /proc/sys/net is this namespace's."""
        prefix, descriptors = self._entrance()
        return await runner.run([*prefix, *args], timeout_s=timeout_s, input=stdin, pass_fds=descriptors, check=check)

    async def start(
        self, runner: Runner, args: Sequence[str], *, output: StandardStream, survive: bool
    ) -> RunningProcess:
        """Start a long-running program inside; nsenter becomes it, so the pid is the program's."""
        prefix, descriptors = self._entrance()
        return await runner.start(
            Launch([*prefix, *args], stdout=output, stderr=output, pass_fds=descriptors, survive=survive)
        )

    def _entrance(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        if self._descriptor is None:
            return (), ()
        return ("nsenter", f"--net=/proc/self/fd/{self._descriptor}", "--"), (self._descriptor,)

    def close(self) -> None:
        """Let go of the namespace."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "NetworkNamespace":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


HOST = NetworkNamespace(None)
