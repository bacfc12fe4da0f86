"""The cluster's DNS server on this node: a dnsmasq on the pods' bridge. Owns its process and its two files.

Hosts are re-read by SIGHUP; the few settings that dnsmasq cannot re-read (SRV records, aliases) restart it.
"""

import asyncio
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from kobune.base.errors import KobuneError
from kobune.host.files import write_file
from kobune.host.run import Launch, Runner, RunningProcess

__all__ = ["ClusterDns", "DnsConfig"]

_LOG = logging.getLogger(__name__)
STOP_S = 2.0
COMMAND_S = 10.0


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """`interface` is the pods' bridge with `addresses` (ADDRESS/PREFIX), made when it is missing, so that names are
    served before the first pod comes. `upstream` is a resolv.conf, empty for none."""

    directory: Path
    interface: str
    addresses: tuple[str, ...] = ()
    domain: str = "cluster.local"
    upstream: str = "/etc/resolv.conf"
    port: int = 53


def _add_address(address: str, interface: str) -> list[str]:
    # There is nobody else to ask whether an IPv6 address is taken, and a tentative one can't be listened on.
    words = ["nodad"] if ":" in address else ["brd", "+"]
    return ["address", "add", address, *words, "dev", interface]


class ClusterDns:
    """One dnsmasq. `update` starts, restarts or refreshes it as needed."""

    def __init__(self, config: DnsConfig, runner: Runner) -> None:
        self._config = config
        self._runner = runner
        self._process: RunningProcess | None = None
        self._settings: str | None = None
        self._hosts: str | None = None

    @property
    def running(self) -> bool:
        """Whether the server is there."""
        return self._process is not None and self._process.returncode is None

    async def update(self, hosts: str, extra: list[str]) -> None:
        """Serve these names from now on; raises KobuneError when dnsmasq cannot be started."""
        self._config.directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        settings = self._render(extra)
        if hosts != self._hosts:
            write_file(self._config.directory / "hosts", hosts.encode(), 0o644)
        if settings != self._settings or not self.running:
            await self.stop()
            write_file(self._config.directory / "dnsmasq.conf", settings.encode(), 0o644)
            await self._start()
        elif hosts != self._hosts and self._process is not None:
            self._process.signal(signal.SIGHUP)
        self._settings, self._hosts = settings, hosts

    async def stop(self) -> None:
        """End it, also one that a killed predecessor has left."""
        if self._process is not None:
            await self._process.stop(grace_s=STOP_S)
            self._process = None
        stale = self._stale()
        if stale is not None:
            os.kill(stale, signal.SIGTERM)
            for _ in range(int(STOP_S / 0.02)):
                if self._stale() is None:
                    break
                await asyncio.sleep(0.02)

    async def _ensure_bridge(self) -> None:
        """As the CNI plugin makes it; the plugin takes one that is there."""
        config = self._config
        if not config.addresses or (Path("/sys/class/net") / config.interface).exists():
            return
        for words in (
            ["link", "add", config.interface, "type", "bridge"],
            *(_add_address(address, config.interface) for address in config.addresses),
            ["link", "set", config.interface, "up"],
        ):
            await self._runner.run(["ip", *words], timeout_s=COMMAND_S)

    async def _start(self) -> None:
        await self._ensure_bridge()
        conf = self._config.directory / "dnsmasq.conf"
        log = self._config.directory / "dnsmasq.log"
        # `survive`: the pods' names outlive a restart of this process by the moment that it takes.
        self._process = await self._runner.start(
            Launch(["dnsmasq", "--keep-in-foreground", f"--conf-file={conf}"], stdout=log, stderr=log, survive=True)
        )
        write_file(self._config.directory / "dnsmasq.pid", b"%d\n" % self._process.pid, 0o644)
        await asyncio.sleep(0.1)
        if not self.running:
            tail = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise KobuneError(f"dnsmasq ended at once: {' '.join(tail) or 'no message'}")

    def _stale(self) -> int | None:
        """A dnsmasq with our configuration that this process has not started."""
        try:
            pid = int((self._config.directory / "dnsmasq.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        own = f"--conf-file={self._config.directory / 'dnsmasq.conf'}".encode()
        return pid if own in words else None

    def _render(self, extra: list[str]) -> str:
        config = self._config
        lines = [
            "no-hosts",
            f"addn-hosts={config.directory / 'hosts'}",
            f"interface={config.interface}",
            "except-interface=lo",
            # Binds to the bridge alone, also when it is made anew.
            "bind-dynamic",
            f"port={config.port}",
            f"local=/{config.domain}/",
            "domain-needed",
            "cache-size=1000",
            "local-ttl=5",
            "no-negcache",
            f"resolv-file={config.upstream}" if config.upstream else "no-resolv",
            *extra,
        ]
        return "".join(f"{line}\n" for line in lines)
