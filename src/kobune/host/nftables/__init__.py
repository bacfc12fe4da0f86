"""nftables rulesets of a network namespace: a whole table is replaced in one transaction by `nft -f -`.

Owns rendering and applying; what the rules say belongs to the caller. The comment of a table tells which version of
the rules is in place, so that a converged namespace costs one look. `kobune.host.nftables.fake` keeps the same
protocol.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from kobune.host.netns import NetworkNamespace
from kobune.host.run import Runner

__all__ = ["Chain", "NftCommand", "Nftables", "Table", "render"]

TIMEOUT_S = 10.0
_COMMENT = re.compile(rb'^\s*comment "([^"]*)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; with a `hook` (`type nat hook prerouting priority -100; policy accept;`) it is a base chain."""

    name: str
    hook: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of family `ip`, `ip6` or `inet`, complete: what is not in it will not be in the kernel."""

    family: str
    name: str
    chains: tuple[Chain, ...]

    @property
    def digest(self) -> str:
        """A short name of exactly these rules."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


class Nftables(Protocol):
    """What Kobune needs of nftables."""

    async def digest(self, namespace: NetworkNamespace, family: str, name: str) -> str | None:
        """The `Table.digest` that was applied; None without such a table, empty for one that we did not write."""
        ...

    async def replace(self, namespace: NetworkNamespace, table: Table) -> None:
        """Put the table in place of any of its name, atomically; raises CommandFailed and changes nothing then."""
        ...

    async def delete(self, namespace: NetworkNamespace, family: str, name: str) -> None:
        """Remove a table; none is no error."""
        ...


def render(table: Table) -> str:
    """The table as input of `nft -f`: created if missing, deleted and written anew, all in one transaction."""
    head = f"table {table.family} {table.name}"
    lines = [head, f"delete {head}", f"{head} {{", f'  comment "{table.digest}"']
    for chain in table.chains:
        lines += [f"  chain {chain.name} {{"]
        lines += [f"    {chain.hook}"] if chain.hook else []
        lines += [f"    {rule}" for rule in chain.rules]
        lines += ["  }"]
    return "\n".join([*lines, "}", ""])


class NftCommand:
    """`Nftables` by the nft program."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def digest(self, namespace: NetworkNamespace, family: str, name: str) -> str | None:
        """See `Nftables.digest`."""
        tables = await namespace.run(self._runner, ["nft", "list", "tables"], timeout_s=TIMEOUT_S)
        if f"table {family} {name}" not in tables.text.splitlines():
            return None
        # Terse, and the comment is missing in the JSON output of nft 1.0.
        shown = await namespace.run(self._runner, ["nft", "-t", "list", "table", family, name], timeout_s=TIMEOUT_S)
        found = _COMMENT.search(shown.stdout)
        return found.group(1).decode("utf-8", "replace") if found else ""

    async def replace(self, namespace: NetworkNamespace, table: Table) -> None:
        """See `Nftables.replace`."""
        await namespace.run(self._runner, ["nft", "-f", "-"], timeout_s=TIMEOUT_S, stdin=render(table).encode())

    async def delete(self, namespace: NetworkNamespace, family: str, name: str) -> None:
        """See `Nftables.delete`."""
        text = f"table {family} {name}\ndelete table {family} {name}\n"
        await namespace.run(self._runner, ["nft", "-f", "-"], timeout_s=TIMEOUT_S, stdin=text.encode())
