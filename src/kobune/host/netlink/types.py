"""Network interfaces as they are, and the changes that can be asked for. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "AddAddress",
    "AddBridge",
    "AddTap",
    "Address",
    "DeleteAddress",
    "DeleteLink",
    "Link",
    "LinkChange",
    "RenameLink",
    "Route",
    "SetLink",
    "SetPort",
]


@dataclass(frozen=True, slots=True)
class Address:
    """An address of an interface; `scope` is `global`, `link` or `host`."""

    family: str
    address: str
    prefix_length: int
    scope: str = "global"

    @property
    def cidr(self) -> str:
        """ADDRESS/LENGTH."""
        return f"{self.address}/{self.prefix_length}"


@dataclass(frozen=True, slots=True)
class Link:
    """One interface. `kind` is the kernel's (`bridge`, `tun`, `veth`, ...; empty for hardware and loopback).

    `learning` is whether the bridge that it is a port of remembers who was seen behind it.
    """

    name: str
    mac: str
    mtu: int
    up: bool
    kind: str = ""
    master: str = ""
    addresses: tuple[Address, ...] = ()
    learning: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the main table; `destination` is `default` or a CIDR, `gateway` empty when it is on the link."""

    destination: str
    gateway: str
    device: str


@dataclass(frozen=True, slots=True)
class AddBridge:
    """Create a bridge without spanning tree, so that a port forwards at once."""

    name: str
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True)
class AddTap:
    """Create a persistent tap that `uid` and `gid` may open without a capability."""

    name: str
    uid: int
    gid: int
    multi_queue: bool = False


@dataclass(frozen=True, slots=True)
class SetLink:
    """Change an interface; None leaves a property as it is."""

    name: str
    mtu: int | None = None
    mac: str | None = None
    master: str | None = None
    up: bool | None = None


@dataclass(frozen=True, slots=True)
class SetPort:
    """Change how the bridge treats one of its ports."""

    name: str
    learning: bool


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Give an interface an address; IPv6 addresses are usable at once (no duplicate address detection)."""

    link: str
    cidr: str


@dataclass(frozen=True, slots=True)
class DeleteAddress:
    """Take an address away."""

    link: str
    cidr: str


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Remove an interface."""

    name: str


@dataclass(frozen=True, slots=True)
class RenameLink:
    """Give an interface another name; it must be down."""

    name: str
    new_name: str


LinkChange: TypeAlias = AddBridge | AddTap | SetLink | SetPort | AddAddress | DeleteAddress | DeleteLink | RenameLink
