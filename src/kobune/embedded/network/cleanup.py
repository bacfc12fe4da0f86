"""Removes what a node's network has left on the machine: the table of Services and the DNS server."""

from pathlib import Path

from kobune.embedded.network.dns import ClusterDns, DnsConfig
from kobune.host.netns import HOST
from kobune.host.nftables import NftCommand
from kobune.host.run import CommandError, HostRunner

__all__ = ["cleanup"]


async def cleanup(table: str, dns_directory: Path) -> list[str]:
    """Repeatable. Returns what could not be removed, as text."""
    runner = HostRunner()
    left: list[str] = []
    await ClusterDns(DnsConfig(dns_directory, ""), runner).stop()
    try:
        await NftCommand(runner).delete(HOST, "ip", table)
    except CommandError as error:
        left.append(f"nftables table {table}: {error}")
    return left
