"""The driver itself: `ip -json` to look, `ip -batch` to change."""

import json
from collections.abc import Sequence
from typing import Any, Protocol, assert_never

from kobune.host.netlink.types import (
    AddAddress,
    AddBridge,
    Address,
    AddTap,
    DeleteAddress,
    DeleteLink,
    Link,
    LinkChange,
    RenameLink,
    Route,
    SetLink,
    SetPort,
)
from kobune.host.netns import NetworkNamespace
from kobune.host.run import Runner

__all__ = ["IpCommand", "Netlink"]

TIMEOUT_S = 10.0


class Netlink(Protocol):
    """What Kobune needs of a namespace's network configuration."""

    async def links(self, namespace: NetworkNamespace) -> tuple[Link, ...]:
        """All interfaces with their addresses."""
        ...

    async def routes(self, namespace: NetworkNamespace) -> tuple[Route, ...]:
        """The IPv4 and IPv6 routes of the main table."""
        ...

    async def change(self, namespace: NetworkNamespace, changes: Sequence[LinkChange]) -> None:
        """Carry the changes out in order; raises CommandFailed at the first that fails, earlier ones stay."""
        ...


class IpCommand:
    """`Netlink` by iproute2."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def links(self, namespace: NetworkNamespace) -> tuple[Link, ...]:
        """See `Netlink.links`."""
        entries = await self._query(namespace, "-details", "address", "show")
        # Old iproute2 prints an empty object for an interface that vanished while it looked.
        return tuple(_link(entry) for entry in entries if entry.get("ifname"))

    async def routes(self, namespace: NetworkNamespace) -> tuple[Route, ...]:
        """See `Netlink.routes`."""
        entries = await self._query(namespace, "-4", "route", "show")
        entries += await self._query(namespace, "-6", "route", "show")
        return tuple(
            Route(str(entry["dst"]), str(entry.get("gateway", "")), str(entry["dev"]))
            for entry in entries
            if "dev" in entry
        )

    async def change(self, namespace: NetworkNamespace, changes: Sequence[LinkChange]) -> None:
        """See `Netlink.change`."""
        if not changes:
            return
        batch = "".join(f"{' '.join(words)}\n" for words in map(batch_words, changes) if words)
        await namespace.run(self._runner, ["ip", "-batch", "-"], timeout_s=TIMEOUT_S, stdin=batch.encode())

    async def _query(self, namespace: NetworkNamespace, *args: str) -> list[dict[str, Any]]:
        done = await namespace.run(self._runner, ["ip", "-json", *args], timeout_s=TIMEOUT_S)
        entries: list[dict[str, Any]] = json.loads(done.stdout or b"[]")
        return entries


def batch_words(change: LinkChange) -> list[str]:
    """One change as the words of a line of `ip -batch`; none when there is nothing to do.

    Raises ValueError for a word with white space in it: it would become a command of its own.
    """
    words = _words(change)
    for word in words:
        if not word or any(letter.isspace() for letter in word):
            raise ValueError(f"{word!r} cannot be a word of an ip command")
    return words


def _words(change: LinkChange) -> list[str]:
    match change:
        case AddBridge(name, mac, mtu):
            options = ("stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
            return ["link", "add", "name", name, "address", mac, "mtu", str(mtu), "type", "bridge", *options]
        case AddTap(name, uid, gid, multi_queue):
            queues = ["multi_queue"] if multi_queue else []
            owner = ["user", str(uid), "group", str(gid)]
            return ["tuntap", "add", "dev", name, "mode", "tap", *owner, *queues, "vnet_hdr"]
        case SetLink(name, mtu, mac, master, up):
            words = ["mtu", str(mtu)] if mtu is not None else []
            words += ["address", mac] if mac is not None else []
            if master is not None:
                words += ["master", master] if master else ["nomaster"]
            words += ["up" if up else "down"] if up is not None else []
            return ["link", "set", "dev", name, *words] if words else []
        case SetPort(name, learning):
            return ["link", "set", "dev", name, "type", "bridge_slave", "learning", "on" if learning else "off"]
        case AddAddress(link, cidr):
            return ["address", "replace", cidr, "dev", link, *(["nodad"] if ":" in cidr else [])]
        case DeleteAddress(link, cidr):
            return ["address", "delete", cidr, "dev", link]
        case DeleteLink(name):
            return ["link", "delete", "dev", name]
        case RenameLink(name, new_name):
            return ["link", "set", "dev", name, "name", new_name]
        case _:
            assert_never(change)


def _link(entry: dict[str, Any]) -> Link:
    addresses = tuple(
        Address(str(found["family"]), str(found["local"]), int(found["prefixlen"]), str(found.get("scope", "global")))
        for found in entry.get("addr_info", [])
        if found.get("local")
    )
    return Link(
        name=str(entry["ifname"]),
        mac=str(entry.get("address", "")),
        mtu=int(entry["mtu"]),
        up="UP" in entry.get("flags", ()),
        kind=str(entry.get("linkinfo", {}).get("info_kind", "")),
        master=str(entry.get("master", "")),
        addresses=addresses,
        learning=bool(entry.get("linkinfo", {}).get("info_slave_data", {}).get("learning", True)),
    )
