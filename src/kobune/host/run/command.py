"""Runs a program to its end. Owns the environment, the time limit and the killing of what was started."""

import asyncio
import logging
import os
import shlex
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from pathlib import Path

from kobune.host.run.process import Process, identity, kill_group
from kobune.host.run.types import CommandFailed, CommandNotFound, CommandTimeout, Completed, Launch, RunningProcess

__all__ = ["HostRunner", "base_environment", "run"]

_LOG = logging.getLogger(__name__)
_SBIN = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_INHERITED = ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "USER", "LOGNAME")


def base_environment() -> dict[str, str]:
    """The environment that every command starts from: PATH with the sbin folders, HOME, and messages in English."""
    path = [part for part in os.environ.get("PATH", "").split(":") if part]
    path += [part for part in _SBIN if part not in path]
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return environment | {"PATH": ":".join(path), "LC_ALL": "C.UTF-8"}


class HostRunner:
    """Runs programs on this machine."""

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
        """Run a program to its end; see `Runner.run`."""
        argv = tuple(args)
        started = time.monotonic()
        try:
            child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=DEVNULL if input is None else PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=base_environment() | dict(env or {}),
                cwd=cwd,
                start_new_session=True,
                pass_fds=pass_fds,
                **identity(user),
            )
        except (FileNotFoundError, PermissionError) as error:
            if cwd is not None and str(error.filename) == str(cwd):
                raise
            raise CommandNotFound(argv) from error
        try:
            async with asyncio.timeout(timeout_s):
                stdout, stderr = await child.communicate(input)
        except TimeoutError as error:
            raise CommandTimeout(argv, timeout_s) from error
        finally:
            if child.returncode is None:
                # Cancelled or out of time: grandchildren may hold the pipes open, so the group goes, not the child.
                kill_group(child.pid)
                await asyncio.shield(child.wait())
        returncode = child.returncode if child.returncode is not None else -9
        _LOG.debug("ran %s: status %d in %.3f s", shlex.join(argv)[:300], returncode, time.monotonic() - started)
        if check and returncode != 0:
            raise CommandFailed(argv, returncode, stderr)
        return Completed(argv, returncode, stdout, stderr)

    async def start(self, launch: Launch) -> RunningProcess:
        """Start a long-running program; see `Runner.start`."""
        return await Process.start(launch, base_environment() | dict(launch.env))


async def run(
    args: Sequence[str],
    *,
    timeout_s: float,
    input: bytes | None = None,  # noqa: A002 - subprocess' own word
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> Completed:
    """Run a program on this machine, for code that needs no fake; see `Runner.run`."""
    return await HostRunner().run(args, timeout_s=timeout_s, input=input, env=env, check=check)
