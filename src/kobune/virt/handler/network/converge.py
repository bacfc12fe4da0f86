"""What is missing between a network plan and a namespace as it is. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from kobune.api.kubevirt import Network
from kobune.host.netlink import (
    AddAddress,
    AddBridge,
    AddTap,
    DeleteAddress,
    DeleteLink,
    Link,
    LinkChange,
    SetLink,
    SetPort,
)
from kobune.virt.domain.networks import bridge_name, tap_name
from kobune.virt.handler.network.model import QEMU_ID, NetworkPlan

__all__ = ["link_changes", "missing_sysctls", "surplus"]

_OURS: Final = re.compile(r"(k6t-|tap)[0-9a-f]{11}")
_KINDS: Final = ("bridge", "tun")


def link_changes(plan: NetworkPlan, observed: Iterable[Link]) -> tuple[LinkChange, ...]:
    """The changes that lead from the observed interfaces to the plan's; empty when all is in place.

    Order: interfaces come into being before they are ports of each other, addresses before an interface is up.
    """
    present = {link.name: link for link in observed}
    changes: list[LinkChange] = []
    for wanted in plan.links:
        found = present.get(wanted.name)
        if found is None:
            if wanted.kind == "bridge":
                changes.append(AddBridge(wanted.name, wanted.mac, wanted.mtu))
                found = Link(wanted.name, wanted.mac, wanted.mtu, False, "bridge")
            else:
                changes.append(AddTap(wanted.name, QEMU_ID, QEMU_ID, wanted.name in plan.multi_queue_taps))
                found = Link(wanted.name, "", 0, False, "tun")
        changes += _corrections(wanted, found)
    return tuple(changes)


def _corrections(wanted: Link, found: Link) -> list[LinkChange]:
    changes: list[LinkChange] = []
    unwanted = [a for a in found.addresses if a.scope == "global" and a not in wanted.addresses]
    changes += [DeleteAddress(wanted.name, address.cidr) for address in unwanted]
    new_mac = bool(wanted.mac) and wanted.mac != found.mac
    if new_mac and found.up:
        # Not every driver changes the address of an interface that is up.
        changes.append(SetLink(wanted.name, up=False))
    properties = SetLink(
        wanted.name,
        mtu=wanted.mtu if wanted.mtu != found.mtu else None,
        mac=wanted.mac if new_mac else None,
        master=wanted.master if wanted.master != found.master else None,
    )
    if properties != SetLink(wanted.name):
        changes.append(properties)
    # A port that changes its bridge starts anew, and learns.
    learning = found.learning or properties.master is not None
    if wanted.learning != learning:
        changes.append(SetPort(wanted.name, learning=wanted.learning))
    changes += [AddAddress(wanted.name, address.cidr) for address in wanted.addresses if address not in found.addresses]
    if wanted.up and (not found.up or new_mac):
        changes.append(SetLink(wanted.name, up=True))
    return changes


def surplus(networks: Iterable[Network], observed: Iterable[Link]) -> tuple[LinkChange, ...]:
    """Removes bridges and taps of secondary networks that are none of these any more."""
    kept = {name for network in networks for name in (bridge_name(network), tap_name(network))}
    found = {link.name: link.kind for link in observed}
    ours = [name for name, kind in found.items() if kind in _KINDS and _OURS.fullmatch(name)]
    return tuple(DeleteLink(name) for name in sorted(ours) if name not in kept)


def missing_sysctls(plan: NetworkPlan, observed: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The settings that differ from the plan's."""
    return tuple((name, value) for name, value in plan.sysctls if observed.get(name) != value)
