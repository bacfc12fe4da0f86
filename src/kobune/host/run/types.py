"""What goes into and comes out of a subprocess, the errors, and the protocol that the fake keeps too."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from kobune.base.errors import KobuneError, RetryableError, TerminalError

__all__ = [
    "CommandError",
    "CommandFailed",
    "CommandNotFound",
    "CommandTimeout",
    "Completed",
    "Launch",
    "LineCallback",
    "Runner",
    "RunningProcess",
    "StandardStream",
]

STDERR_TAIL_BYTES = 2000

LineCallback: TypeAlias = Callable[[bytes], None]
"""Called in the event loop with each line of output, without its newline."""

StandardStream: TypeAlias = Path | LineCallback | None
"""Where a long-running process writes: appended to a file, given line by line, or discarded (None)."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended. `returncode` is negative for a signal, as in subprocess."""

    args: tuple[str, ...]
    returncode: int
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def text(self) -> str:
        """stdout as text; bytes that are no UTF-8 become replacement characters."""
        return self.stdout.decode("utf-8", "replace")


class CommandError(KobuneError):
    """A program could not do its work; `argv` is the command."""

    def __init__(self, args: Sequence[str], message: str) -> None:
        super().__init__(message)
        self.argv = tuple(args)


class CommandFailed(CommandError, RetryableError):
    """The program ended with a status other than 0; `stderr` is the tail of what it said."""

    def __init__(self, args: Sequence[str], returncode: int, stderr: bytes) -> None:
        tail = stderr[-STDERR_TAIL_BYTES:].decode("utf-8", "replace").strip()
        how = f"was ended by signal {-returncode}" if returncode < 0 else f"failed with exit status {returncode}"
        super().__init__(args, f"{args[0]} {how}: {tail or 'no message'} (command: {shlex.join(args)[:500]})")
        self.returncode = returncode
        self.stderr = tail


class CommandTimeout(CommandError, RetryableError):
    """The program did not end within its time limit and was killed."""

    def __init__(self, args: Sequence[str], timeout_s: float) -> None:
        super().__init__(args, f"{args[0]} did not end within {timeout_s:g} s (command: {shlex.join(args)[:500]})")
        self.timeout_s = timeout_s


class CommandNotFound(CommandError, TerminalError):
    """The program is not installed, or may not be executed."""

    def __init__(self, args: Sequence[str]) -> None:
        super().__init__(args, f"{args[0]} is not installed or not executable; install the package that has it")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a long-running process starts.

    `survive` lets it outlive this process: it is not killed with its handle (pair it with a pid file).
    `env` is added to the base environment, `user` is (uid, gid) to become before exec.
    """

    args: Sequence[str]
    stdout: StandardStream = None
    stderr: StandardStream = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: tuple[int, int] | None = None
    pass_fds: tuple[int, ...] = ()
    survive: bool = False


class RunningProcess(Protocol):
    """A long-running child."""

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group and session."""
        ...

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        ...

    async def wait(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        ...

    def signal(self, number: int) -> None:
        """Send a signal to its process group; nothing happens when it has ended."""
        ...

    async def stop(self, *, grace_s: float) -> int:
        """SIGTERM, then SIGKILL after `grace_s`; returns its exit status."""
        ...


class Runner(Protocol):
    """Runs programs: `HostRunner` on this machine, `FakeRunner` in tests."""

    async def run(
        self,
        args: Sequence[str],
        *,
        timeout_s: float,
        input: bytes | None = None,  # noqa: A002 - subprocess' own word
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: tuple[int, int] | None = None,
        pass_fds: tuple[int, ...] = (),
        check: bool = True,
    ) -> Completed:
        """Run a program to its end and return its output.

        `env` is added to the base environment. With `check`, an exit status other than 0 raises CommandFailed.
        Raises CommandNotFound and CommandTimeout in any case. A cancelled caller leaves no process behind.
        """
        ...

    async def start(self, launch: Launch) -> RunningProcess:
        """Start a long-running program; raises CommandNotFound."""
        ...
