"""Nftables in memory, one ruleset per namespace."""

from kobune.host.netns import NetworkNamespace
from kobune.host.nftables import Table

__all__ = ["FakeNftables"]


class FakeNftables:
    """Keeps what was applied; `tables` is what a test looks at."""

    def __init__(self) -> None:
        self.tables: dict[tuple[tuple[int, int], str, str], Table] = {}
        self.writes = 0

    async def digest(self, namespace: NetworkNamespace, family: str, name: str) -> str | None:
        """See `Nftables.digest`."""
        table = self.tables.get((namespace.identity, family, name))
        return None if table is None else table.digest

    async def replace(self, namespace: NetworkNamespace, table: Table) -> None:
        """See `Nftables.replace`."""
        self.writes += 1
        self.tables[namespace.identity, table.family, table.name] = table

    async def delete(self, namespace: NetworkNamespace, family: str, name: str) -> None:
        """See `Nftables.delete`."""
        self.tables.pop((namespace.identity, family, name), None)
