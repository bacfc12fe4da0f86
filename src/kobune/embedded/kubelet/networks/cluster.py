"""The cluster's network, which the runtime attaches sandboxes to: gives back what a sandbox leaves in it.

Owns: what the runtime's own plugins leave behind although they report success (masquerade rules), and everything of a
sandbox that the runtime has lost, as when it was killed between two steps of making one. Does not decide when a sandbox
is lost: see `lost`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from kobune.host.cni import (
    Attachment,
    BridgeNetwork,
    NetworkList,
    Plugins,
    conflist,
    remove_left_rules,
    rule_owners,
)
from kobune.host.mount import Mounter
from kobune.host.run import Runner

__all__ = ["ClusterNetwork"]

_LOG = logging.getLogger(__name__)
CNI_RESULTS: Final = Path("/var/lib/cni/results")
"""Where the runtime's CNI library keeps what it has attached, of all instances of the machine."""
INTERFACE: Final = "eth0"
_MAX_RESULT_BYTES: Final = 1 << 20


class ClusterNetwork:
    """One node's. `namespaces` is the directory of the runtime's network namespaces; nothing outside it is removed."""

    def __init__(
        self,
        network: BridgeNetwork,
        plugins: Plugins,
        runner: Runner,
        mounter: Mounter,
        namespaces: Path,
        results: Path = CNI_RESULTS,
    ) -> None:
        self._network = network
        self._plugins = plugins
        self._runner = runner
        self._mounter = mounter
        self._namespaces = namespaces
        self._results = results

    async def stopped(self, sandbox_id: str) -> None:
        """The runtime has detached this sandbox: remove what it has left. Idempotent. Raises CommandError."""
        await remove_left_rules(self._runner, self._network.name, sandbox_id)

    async def owners(self) -> frozenset[str]:
        """Ids of all sandboxes that have an address, a rule or a record in the network. Raises CommandError."""
        kept = await asyncio.to_thread(lambda: frozenset([*self._leased(), *self._recorded()]))
        return kept | await rule_owners(self._runner, self._network.name)

    async def release(self, sandbox_id: str) -> None:
        """Detach a sandbox that the runtime does not know (any more). Idempotent. Raises CniFailed, CommandError."""
        record = self._results / f"{self._network.name}-{sandbox_id}-{INTERFACE}"
        result = await asyncio.to_thread(_read_result, record)
        namespace = self._namespace_of(result)
        present = namespace is not None and await asyncio.to_thread(namespace.exists)
        document = conflist(self._network)
        network = NetworkList(document["name"], document["cniVersion"], tuple(document["plugins"]))
        attachment = Attachment(sandbox_id, str(namespace) if present else "", INTERFACE)
        # Not interrupted half-way: a plugin that was killed leaves what only its own end would clean.
        await asyncio.shield(self._plugins.delete(network, attachment, result))
        await remove_left_rules(self._runner, self._network.name, sandbox_id)
        if namespace is not None and present:
            await self._mounter.unmount(namespace)
            namespace.unlink(missing_ok=True)
        for path in (record, self._results / f"cni-loopback-{sandbox_id}-lo"):
            path.unlink(missing_ok=True)
        _LOG.warning("network of sandbox %s, which the runtime has lost, is given back", sandbox_id[:12])

    def _leased(self) -> Iterator[str]:
        """Of host-local's files, one per address: the first line is the sandbox."""
        folder = self._network.state_dir / self._network.name
        with contextlib.suppress(FileNotFoundError):
            for file in folder.iterdir():
                # Beside them: a lock, and the last address of each range.
                if file.name[0] in "0123456789abcdef":
                    with contextlib.suppress(FileNotFoundError):
                        yield from file.read_text(errors="replace").split()[:1]

    def _recorded(self) -> Iterator[str]:
        prefix, suffix = f"{self._network.name}-", f"-{INTERFACE}"
        with contextlib.suppress(FileNotFoundError):
            for file in self._results.iterdir():
                name = file.name.removeprefix(prefix).removesuffix(suffix)
                # Another instance's name may begin with this one's.
                if file.name == f"{prefix}{name}{suffix}" and "-" not in name:
                    yield name

    def _namespace_of(self, result: Mapping[str, Any]) -> Path | None:
        """Of a result's own interface; None when it is none of the runtime's."""
        for interface in result.get("interfaces") or ():
            path = Path(str(interface.get("sandbox") or ""))
            if path.parent == self._namespaces and path.name not in ("", ".", ".."):
                return path
        return None


def _read_result(record: Path) -> dict[str, Any]:
    try:
        with record.open("rb") as stream:
            document = msgspec.json.decode(stream.read(_MAX_RESULT_BYTES))
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    result = document.get("result") if isinstance(document, dict) else None
    return result if isinstance(result, dict) else {}
