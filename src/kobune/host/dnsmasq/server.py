"""The processes: start, find, watch, stop."""

import asyncio
import contextlib
import logging
import os
import select
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kobune.base.errors import RetryableError
from kobune.host.dnsmasq.config import DhcpConfig, render
from kobune.host.netns import NetworkNamespace
from kobune.host.run import Runner, RunningProcess

__all__ = ["DhcpServers", "Dnsmasq", "DnsmasqFailed"]

_LOG = logging.getLogger(__name__)
START_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 2.0
POLL_S = 0.01
DHCP_PORT = ":0043 "
CONFIG_FLAG = "--conf-file="


class DnsmasqFailed(RetryableError):
    """dnsmasq ended or did not listen in time; the message has what it said."""


class DhcpServers(Protocol):
    """What Kobune needs of DHCP servers; `name` is a safe file name, unique on this machine, such as a pod's uid."""

    async def digest(self, name: str) -> str | None:
        """The `DhcpConfig.digest` that the server of that name runs with; None when it does not run."""
        ...

    async def start(self, name: str, namespace: NetworkNamespace, config: DhcpConfig) -> None:
        """Start it in place of any older one of that name; returns once it listens. Raises DnsmasqFailed."""
        ...

    async def stop(self, name: str) -> None:
        """End it and forget its files; none is no error."""
        ...

    async def names(self) -> frozenset[str]:
        """All names that have files or a process."""
        ...


@dataclass(slots=True)
class _Known:
    pidfd: int
    pid: int
    digest: str


class Dnsmasq:
    """`DhcpServers` by dnsmasq, with a folder per name below `state_dir`.

    `ended(name)` is called in the event loop when a server ended without `stop`.
    """

    def __init__(self, runner: Runner, state_dir: Path, ended: Callable[[str], None] = lambda name: None) -> None:
        self._runner = runner
        self._state_dir = state_dir.absolute()
        self._ended = ended
        self._known: dict[str, _Known] = {}
        # Those that this process started: their ends are waited for, or asyncio would miss them.
        self._children: dict[str, RunningProcess] = {}

    async def digest(self, name: str) -> str | None:
        """See `DhcpServers.digest`."""
        known = self._known.get(name)
        if known is None:
            for pid, path in await asyncio.to_thread(self._scan):
                if path.parent.name == name:
                    known = self._watch(name, pid, path.stem)
        return None if known is None else known.digest

    async def start(self, name: str, namespace: NetworkNamespace, config: DhcpConfig) -> None:
        """See `DhcpServers.start`."""
        await self._end_processes(name)
        folder = self._state_dir / name
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        path = folder / f"{config.digest}.conf"
        path.write_text(render(config))
        log = folder / "log"
        log.unlink(missing_ok=True)
        args = ["dnsmasq", "--keep-in-foreground", f"{CONFIG_FLAG}{path}", "--log-facility=-", "--pid-file="]
        process = await namespace.start(self._runner, args, output=log, survive=True)
        self._children[name] = process
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while process.returncode is None and not _listens(process.pid):  # noqa: ASYNC110 - sockets set no event
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            process.signal(signal.SIGKILL)
            raise DnsmasqFailed(f"dnsmasq did not listen within {START_TIMEOUT_S:g} s: {_tail(log)}") from None
        except asyncio.CancelledError:
            process.signal(signal.SIGKILL)
            raise
        if process.returncode is not None:
            raise DnsmasqFailed(f"dnsmasq ended with status {process.returncode}: {_tail(log)}")
        self._watch(name, process.pid, config.digest)

    async def stop(self, name: str) -> None:
        """See `DhcpServers.stop`."""
        await self._end_processes(name)
        await asyncio.to_thread(shutil.rmtree, self._state_dir / name, ignore_errors=True)

    async def names(self) -> frozenset[str]:
        """See `DhcpServers.names`."""
        running = {path.parent.name for _, path in await asyncio.to_thread(self._scan)}
        with contextlib.suppress(FileNotFoundError):
            running |= {entry.name for entry in os.scandir(self._state_dir) if entry.is_dir()}
        return frozenset(running)

    def _scan(self) -> list[tuple[int, Path]]:
        """Our servers on this machine: (pid, configuration)."""
        found = []
        prefix = f"{CONFIG_FLAG}{self._state_dir}/".encode()
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            try:
                words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended while we looked
            for word in words:
                if word.startswith(prefix):
                    found.append((int(entry.name), Path(os.fsdecode(word)[len(CONFIG_FLAG) :])))
        return found

    def _watch(self, name: str, pid: int, digest: str) -> _Known | None:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        known = _Known(pidfd, pid, digest)
        self._known[name] = known
        asyncio.get_running_loop().add_reader(pidfd, self._gone, name)
        return known

    def _gone(self, name: str) -> None:
        _LOG.warning("the DHCP server of %s ended", name)
        self._forget(name)
        self._ended(name)

    def _forget(self, name: str) -> None:
        known = self._known.pop(name, None)
        if known is not None:
            asyncio.get_running_loop().remove_reader(known.pidfd)
            os.close(known.pidfd)

    async def _end_processes(self, name: str) -> None:
        self._forget(name)
        for pid, path in await asyncio.to_thread(self._scan):
            if path.parent.name == name:
                await asyncio.to_thread(_end, pid)
        child = self._children.pop(name, None)
        if child is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await child.wait()


def _end(pid: int) -> None:
    """SIGTERM, then SIGKILL; the pidfd makes sure that nobody else is hit."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)
            if select.select([pidfd], [], [], STOP_TIMEOUT_S)[0]:
                return
    finally:
        os.close(pidfd)


def _listens(pid: int) -> bool:
    """Whether somebody in the process' network namespace is bound to the DHCP server's port."""
    try:
        return DHCP_PORT in Path(f"/proc/{pid}/net/udp").read_text()
    except OSError:
        return False


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-500:].strip()
    except OSError:
        return "no message"
