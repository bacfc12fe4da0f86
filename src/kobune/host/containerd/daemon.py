"""Starts, adopts and stops an own containerd. It outlives the process that started it: pods must.

The pid file names the daemon; a pid whose command line is not ours is a stale file, never a process to signal.
"""

import asyncio
import logging
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

from kobune.base.errors import RetryableError
from kobune.host.containerd.config import ContainerdConfig, render_config
from kobune.host.cri import CriClient, CriError
from kobune.host.files import write_file
from kobune.host.run import HostRunner, Launch, Runner

__all__ = ["ContainerdDaemon", "ContainerdNotReady"]

_LOG = logging.getLogger(__name__)
READY_TIMEOUT_S = 30.0
CAP_SYS_RESOURCE = 24


class ContainerdNotReady(RetryableError):
    """containerd did not come up; the message has the end of its log."""


class ContainerdDaemon:
    """One containerd instance of one data directory."""

    def __init__(self, config: ContainerdConfig, runner: Runner | None = None) -> None:
        self._config = config
        self._runner = runner or HostRunner()

    @property
    def config(self) -> ContainerdConfig:
        """As it was given."""
        return self._config

    def pid(self) -> int | None:
        """The running daemon's pid, or None."""
        try:
            pid = int(self._config.pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self._config.config_file).encode() in command else None

    async def ensure(self) -> int:
        """Start it, or adopt the one that runs; returns its pid once it answers.

        Raises ContainerdNotReady, and CommandNotFound when containerd is not installed.
        """
        pid = self.pid()
        if pid is not None:
            _LOG.info("adopting containerd, pid %d", pid)
            await self._wait_ready(pid)
            return pid
        for path in (self._config.root, self._config.state, self._config.socket.parent, self._config.log_file.parent):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._config.cni_conf_dir.mkdir(parents=True, exist_ok=True)
        config = self._config
        if not _may_lower_oom_scores():
            config = replace(config, restrict_oom_score_adj=True)
        write_file(self._config.config_file, render_config(config).encode())
        return await self._start()

    async def revive(self) -> bool:
        """Start it again as it was configured when it has ended; True when that was needed.

        Containers have lived on meanwhile; the new daemon finds them. Raises as `ensure`.
        """
        if self.pid() is not None or not self._config.config_file.exists():
            return False
        # A socket left by a killed daemon must not look like an answer.
        self._config.socket.unlink(missing_ok=True)
        await self._start()
        return True

    async def _start(self) -> int:
        process = await self._runner.start(
            Launch(
                ["containerd", "--config", str(self._config.config_file)],
                stdout=self._config.log_file,
                stderr=self._config.log_file,
                env={"TMPDIR": str(self._config.state)},
                survive=True,
            )
        )
        write_file(self._config.pid_file, b"%d\n" % process.pid)
        await self._wait_ready(process.pid)
        return process.pid

    async def stop(self, *, grace_s: float = 10.0) -> None:
        """SIGTERM, then SIGKILL. Containers keep running: their shims are processes of their own."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            if not await _gone(pid, grace_s):
                os.kill(pid, signal.SIGKILL)
                await _gone(pid, 5.0)
        self._config.pid_file.unlink(missing_ok=True)
        self._config.socket.unlink(missing_ok=True)
        self._config.socket.with_name(f"{self._config.socket.name}.ttrpc").unlink(missing_ok=True)

    async def _wait_ready(self, pid: int) -> None:
        client = CriClient(self._config.socket)
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while True:
                    if _ended(pid):
                        raise ContainerdNotReady(f"containerd ended at once: {self._log_tail()}")
                    if self._config.socket.exists():
                        try:
                            await client.version()
                        except CriError:
                            pass
                        else:
                            return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            message = f"containerd did not answer within {READY_TIMEOUT_S:g} s: {self._log_tail()}"
            raise ContainerdNotReady(message) from None
        finally:
            await client.close()

    def _log_tail(self) -> str:
        try:
            lines = self._config.log_file.read_text(errors="replace").splitlines()
        except OSError:
            return "no log"
        errors = [line for line in lines[-200:] if re.search(r"level=(error|fatal)|^containerd:", line)]
        return " | ".join((errors or lines)[-3:])


def _may_lower_oom_scores() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
    return False


def _ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


async def _gone(pid: int, timeout_s: float) -> bool:
    for _ in range(int(timeout_s / 0.05)):
        if _ended(pid):
            return True
        await asyncio.sleep(0.05)
    return _ended(pid)
