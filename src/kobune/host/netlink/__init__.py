"""Interfaces, addresses and routes of a network namespace, through iproute2's JSON output and batch input.

Owns the translation between our types and iproute2; decides nothing. `kobune.host.netlink.fake` keeps the same
protocol in memory. The choice of iproute2 over a netlink library is ADR 0060.
"""

from kobune.host.netlink.ip import IpCommand, Netlink
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

__all__ = [
    "AddAddress",
    "AddBridge",
    "AddTap",
    "Address",
    "DeleteAddress",
    "DeleteLink",
    "IpCommand",
    "Link",
    "LinkChange",
    "Netlink",
    "RenameLink",
    "Route",
    "SetLink",
    "SetPort",
]
