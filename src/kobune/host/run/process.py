"""A long-running child process in a session of its own. Owns its output and its end."""

import asyncio
import contextlib
import logging
import os
import shlex
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from kobune.host.run.types import CommandNotFound, Launch, LineCallback, StandardStream

__all__ = ["Process", "identity", "kill_group"]

_LOG = logging.getLogger(__name__)
LINE_LIMIT_BYTES = 1 << 20


def kill_group(pid: int, number: int = signal.SIGKILL) -> None:
    """Signal the process group that `pid` leads; a group that has ended is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def identity(user: tuple[int, int] | None) -> dict[str, Any]:
    """Arguments of `create_subprocess_exec` to become (uid, gid); uvloop does not even know them as None."""
    return {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}


class Process:
    """A started child; made by `Process.start` only.

    A handle that is used as a context manager stops its child at the end, unless it was started with `survive`.
    """

    def __init__(self, launch: Launch, child: asyncio.subprocess.Process) -> None:
        self._launch = launch
        self._child = child
        self._readers: list[asyncio.Task[None]] = []

    @classmethod
    async def start(cls, launch: Launch, environment: Mapping[str, str]) -> "Process":
        """Start it with exactly that environment; raises CommandNotFound."""
        argv = tuple(launch.args)
        with contextlib.ExitStack() as files:
            try:
                child = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=DEVNULL,
                    stdout=_target(launch.stdout, files),
                    stderr=_target(launch.stderr, files),
                    env=dict(environment),
                    cwd=launch.cwd,
                    start_new_session=True,
                    pass_fds=launch.pass_fds,
                    limit=LINE_LIMIT_BYTES,
                    **identity(launch.user),
                )
            except (FileNotFoundError, PermissionError) as error:
                raise CommandNotFound(argv) from error
        _LOG.debug("started %s as pid %d", shlex.join(argv)[:300], child.pid)
        process = cls(launch, child)
        for stream, callback in ((child.stdout, launch.stdout), (child.stderr, launch.stderr)):
            if stream is not None and callable(callback):
                process._readers.append(asyncio.create_task(_deliver(stream, callback)))
        return process

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group and session."""
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._child.returncode

    async def wait(self) -> int:
        """Wait for its end and for the last line of its output."""
        status = await self._child.wait()
        if self._readers:
            # A grandchild may keep the pipe open for ever; the child's own lines arrive at once.
            await asyncio.wait(self._readers, timeout=1)
        return status

    def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        if self._child.returncode is None:
            kill_group(self._child.pid, number)

    async def stop(self, *, grace_s: float) -> int:
        """SIGTERM, then SIGKILL after `grace_s`."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            _LOG.warning("%s (pid %d) did not end within %g s; killing it", self._launch.args[0], self.pid, grace_s)
            return await self._kill()
        except asyncio.CancelledError:
            await asyncio.shield(self._kill())
            raise

    async def _kill(self) -> int:
        self.signal(signal.SIGKILL)
        return await self._child.wait()

    async def __aenter__(self) -> "Process":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child.returncode is None and not self._launch.survive:
            await self.stop(grace_s=5)
        for reader in self._readers:
            reader.cancel()


def _target(stream: StandardStream, files: contextlib.ExitStack) -> int | IO[bytes]:
    if stream is None:
        return DEVNULL
    if isinstance(stream, Path):
        return files.enter_context(stream.open("ab"))
    return PIPE


async def _deliver(stream: asyncio.StreamReader, callback: LineCallback) -> None:
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            if end.partial:
                callback(end.partial)
            return
        except asyncio.LimitOverrunError as overrun:
            # An endless line is delivered in pieces rather than kept.
            line = await stream.readexactly(overrun.consumed)
        callback(line.removesuffix(b"\n"))
