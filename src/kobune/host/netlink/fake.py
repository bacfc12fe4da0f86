"""Interfaces in memory: one set per namespace, with the kernel's answers to what cannot be."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_interface
from typing import assert_never

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
from kobune.host.run import CommandFailed

__all__ = ["FakeNetlink"]

LOOPBACK = Link("lo", "00:00:00:00:00:00", 65536, False)


class FakeNetlink:
    """A new namespace has a loopback interface that is down; tests add what CNI would have made by `add`."""

    def __init__(self) -> None:
        self.changes: list[LinkChange] = []
        self._links: dict[tuple[int, int], dict[str, Link]] = {}
        self._routes: dict[tuple[int, int], list[Route]] = {}

    def add(self, namespace: NetworkNamespace, link: Link, *routes: Route) -> None:
        """Somebody else makes an interface."""
        self._of(namespace)[link.name] = link
        self._routes.setdefault(namespace.identity, []).extend(routes)

    async def links(self, namespace: NetworkNamespace) -> tuple[Link, ...]:
        """See `Netlink.links`."""
        return tuple(self._of(namespace).values())

    async def routes(self, namespace: NetworkNamespace) -> tuple[Route, ...]:
        """See `Netlink.routes`."""
        return tuple(self._routes.get(namespace.identity, ()))

    async def change(self, namespace: NetworkNamespace, changes: Sequence[LinkChange]) -> None:
        """See `Netlink.change`."""
        links = self._of(namespace)
        for change in changes:
            self._apply(links, change)
            self.changes.append(change)

    def _of(self, namespace: NetworkNamespace) -> dict[str, Link]:
        return self._links.setdefault(namespace.identity, {"lo": LOOPBACK})

    def _apply(self, links: dict[str, Link], change: LinkChange) -> None:
        match change:
            case AddBridge(name, mac, mtu):
                self._create(links, Link(name, mac, mtu, False, "bridge"))
            case AddTap(name):
                self._create(links, Link(name, "02:00:00:00:00:fe", 1500, False, "tun"))
            case SetLink(name, mtu, mac, master, up):
                link = self._existing(links, name)
                if master:
                    self._existing(links, master)
                links[name] = replace(
                    link,
                    mtu=link.mtu if mtu is None else mtu,
                    mac=link.mac if mac is None else mac,
                    master=link.master if master is None else master,
                    up=link.up if up is None else up,
                    learning=link.learning if master is None else True,
                )
            case SetPort(name, learning):
                link = self._existing(links, name)
                if not link.master:
                    raise _failure("RTNETLINK answers: Operation not supported")
                links[name] = replace(link, learning=learning)
            case AddAddress(name, cidr):
                link = self._existing(links, name)
                address = _address(cidr)
                if address not in link.addresses:
                    links[name] = replace(link, addresses=(*link.addresses, address))
            case DeleteAddress(name, cidr):
                link = self._existing(links, name)
                if _address(cidr) not in link.addresses:
                    raise _failure("RTNETLINK answers: Cannot assign requested address")
                kept = tuple(address for address in link.addresses if address != _address(cidr))
                links[name] = replace(link, addresses=kept)
            case DeleteLink(name):
                self._existing(links, name)
                del links[name]
            case RenameLink(name, new_name):
                link = self._existing(links, name)
                if link.up:
                    raise _failure("RTNETLINK answers: Device or resource busy")
                self._create(links, replace(link, name=new_name))
                del links[name]
            case _:
                assert_never(change)

    def _create(self, links: dict[str, Link], link: Link) -> None:
        if link.name in links:
            raise _failure("RTNETLINK answers: File exists")
        links[link.name] = link

    def _existing(self, links: dict[str, Link], name: str) -> Link:
        if name not in links:
            raise _failure(f'Cannot find device "{name}"')
        return links[name]


def _address(cidr: str) -> Address:
    interface = ip_interface(cidr)
    family = "inet6" if interface.version == 6 else "inet"
    return Address(family, str(interface.ip), interface.network.prefixlen)


def _failure(message: str) -> CommandFailed:
    return CommandFailed(("ip", "-batch", "-"), 1, message.encode())
