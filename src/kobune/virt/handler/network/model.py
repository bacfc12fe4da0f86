"""The words of a network plan. Pure."""

from dataclasses import dataclass
from typing import Final

from kobune.base.errors import TerminalError
from kobune.host.dnsmasq import DhcpConfig, Lease
from kobune.host.netlink import Address, Link, Route
from kobune.host.nftables import Table

__all__ = [
    "BRIDGE_MAC",
    "POD_INTERFACE",
    "QEMU_ID",
    "TABLE",
    "GuestInterface",
    "NetworkPlan",
    "Part",
    "PodInterface",
    "UnsupportedInterface",
]

POD_INTERFACE: Final = "eth0"
BRIDGE_MAC: Final = "02:00:00:00:00:00"
"""The same in every pod, so that a guest that migrates finds the neighbour that it knows."""
QEMU_ID: Final = 107
TABLE: Final = ("inet", "kobune")


class UnsupportedInterface(TerminalError):
    """The VMI asks for an interface that this node cannot make; the message names it."""


@dataclass(frozen=True, slots=True)
class PodInterface:
    """One of the pod's interfaces as CNI made it, before anything was changed."""

    mac: str
    mtu: int
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]
    name: str = POD_INTERFACE

    def global_address(self, family: str) -> Address | None:
        """Its first address of family `inet` or `inet6` that reaches beyond the link."""
        return next((a for a in self.addresses if a.family == family and a.scope == "global"), None)


@dataclass(frozen=True, slots=True)
class GuestInterface:
    """One interface of the guest as the launcher is told of it."""

    name: str
    tap: str
    bridge: str
    mac: str
    mtu: int
    queues: int


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The whole: `links` must exist with at least these properties and exactly these (global) addresses."""

    guests: tuple[GuestInterface, ...] = ()
    links: tuple[Link, ...] = ()
    multi_queue_taps: frozenset[str] = frozenset()
    sysctls: tuple[tuple[str, str], ...] = ()
    table: Table | None = None
    dhcp: DhcpConfig | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What one interface contributes to the plan; `rules` are lines of nftables by chain.

    `lease` is None where the guest gets its address from the network itself, or none at all.
    """

    guest: GuestInterface
    links: tuple[Link, ...]
    sysctls: tuple[tuple[str, str], ...]
    rules: dict[str, tuple[str, ...]]
    lease: Lease | None
