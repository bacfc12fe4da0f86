"""Keeps one process per component running: starts, restarts with back-off, stops in reverse order.

A component learns that the supervisor is gone by the end of a pipe, so that a killed supervisor leaves no
process behind that fights with those of the next one. Pods and guests are nobody's children here and go on.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kobune.host.files import write_file
from kobune.host.run import Launch, Runner
from kobune.main.logs import LOG_LIMIT_BYTES

__all__ = [
    "REFUSED",
    "SUPERVISOR_FD",
    "ComponentSpec",
    "Supervisor",
    "kill_left_components",
    "read_component_pids",
    "refusal_file",
]

log = logging.getLogger(__name__)

SUPERVISOR_FD = "KOBUNE_SUPERVISOR_FD"
"""Environment variable: the descriptor of the pipe that ends with the supervisor."""

REFUSED = 78
"""Exit status of a component whose configuration or data make any further attempt pointless (sysexits' EX_CONFIG)."""

BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S = 30.0  # a component that ran this long starts anew with the shortest back-off
STOP_TIMEOUT_S = 10.0
PIDS_NAME = "components.json"


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """`arguments` follow `kobune component NAME`."""

    name: str
    arguments: tuple[str, ...]


class _Pipe(NamedTuple):
    """`write` is held open by the supervisor alone: its end of life is what the readers see."""

    read: int
    write: int


class Supervisor:
    """Owns the components' processes. `pids` is the truth about what runs now."""

    def __init__(self, logs_dir: Path, run_dir: Path, runner: Runner) -> None:
        self._runner = runner
        self._alive = _Pipe(*os.pipe())
        self._logs_dir = logs_dir
        self._run_dir = run_dir
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.pids: dict[str, int] = {}
        self.restarts: dict[str, int] = {}
        self.refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with a message once a component says that it can never work as things are; it is tried again all the
        same, because an instance that has run before must not end for that."""

    def start(self, spec: ComponentSpec) -> None:
        """Start a component and keep it running until `stop`."""
        if spec.name in self._tasks:
            raise ValueError(f"component {spec.name} is started already")
        self._tasks[spec.name] = asyncio.create_task(self._keep(spec), name=f"component {spec.name}")

    async def stop(self) -> None:
        """Stop all components for good, the last started first; SIGKILL after a time limit each."""
        for name in reversed(list(self._tasks)):
            task = self._tasks.pop(name)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for descriptor in self._alive:
            os.close(descriptor)

    async def _keep(self, spec: ComponentSpec) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            status = await self._run_once(spec)
            if loop.time() - began_s > STEADY_S:
                failures = 0
            if status == REFUSED and not self.refused.done():
                self.refused.set_result(_refusal(self._run_dir, spec.name))
            wait_s = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
            failures += 1
            self.restarts[spec.name] = self.restarts.get(spec.name, 0) + 1
            # Who is still waiting for this start is told by `refused`.
            level = logging.INFO if status == REFUSED else logging.WARNING
            log.log(level, "component %s ended with status %s; starting it again in %.1f s", spec.name, status, wait_s)
            await asyncio.sleep(wait_s)

    async def _run_once(self, spec: ComponentSpec) -> int:
        path = self._logs_dir / f"{spec.name}.log"
        _rotate(path)
        launch = Launch(
            args=(sys.executable, "-m", "kobune.main.entry", "component", spec.name, *spec.arguments),
            stdout=path,
            stderr=path,
            env={SUPERVISOR_FD: str(self._alive.read)},
            pass_fds=(self._alive.read,),
        )
        process = await self._runner.start(launch)
        self.pids[spec.name] = process.pid
        self._record()
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await process.stop(grace_s=STOP_TIMEOUT_S)
            raise
        finally:
            self.pids.pop(spec.name, None)
            self._record()

    def _record(self) -> None:
        """Tell other commands, and the next supervisor, which processes are ours."""
        write_file(self._run_dir / PIDS_NAME, json.dumps(self.pids).encode())


def refusal_file(run_dir: Path, name: str) -> Path:
    """Where a component leaves the reason of an end with status REFUSED."""
    return run_dir / f"{name}.refused"


def _refusal(run_dir: Path, name: str) -> str:
    try:
        return refusal_file(run_dir, name).read_text()
    except OSError:
        return f"component {name} cannot work as things are"


def read_component_pids(run_dir: Path) -> dict[str, int]:
    """The components that the supervisor started last, by name; empty when there is no record."""
    try:
        record = json.loads((run_dir / PIDS_NAME).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {str(name): int(pid) for name, pid in record.items()}


def kill_left_components(run_dir: Path) -> None:
    """Kill components that a killed supervisor left behind; a reused pid is told by its command line."""
    for name, pid in read_component_pids(run_dir).items():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"component" in words and name.encode() in words:
                os.kill(pid, signal.SIGKILL)


def _rotate(path: Path) -> None:
    """Keep one older log when the current one has grown over the limit; logs are the owner's alone."""
    path.touch(mode=0o600)
    if path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
        path.touch(mode=0o600)
