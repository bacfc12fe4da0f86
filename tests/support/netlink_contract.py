"""What every driver of interfaces and of nftables keeps, fake or real. Each function gets a fresh, empty namespace."""

import pytest

from kobune.host.netlink import (
    AddAddress,
    AddBridge,
    AddTap,
    DeleteAddress,
    DeleteLink,
    Link,
    Netlink,
    RenameLink,
    SetLink,
    SetPort,
)
from kobune.host.netns import NetworkNamespace
from kobune.host.nftables import Chain, Nftables, Table
from kobune.host.run import CommandFailed

__all__ = ["LINK_RULES", "TABLE_RULES"]

BRIDGE = AddBridge("br0", "02:00:00:00:00:00", 1450)
TAP = AddTap("tap0", 107, 107)


async def by_name(netlink: Netlink, space: NetworkNamespace) -> dict[str, Link]:
    return {link.name: link for link in await netlink.links(space)}


async def a_new_namespace_has_a_loopback_that_is_down(netlink: Netlink, space: NetworkNamespace) -> None:
    links = await by_name(netlink, space)
    assert set(links) == {"lo"}
    assert not links["lo"].up


async def what_is_made_is_seen(netlink: Netlink, space: NetworkNamespace) -> None:
    await netlink.change(space, [BRIDGE, TAP, SetLink("tap0", mtu=1450, master="br0"), SetLink("br0", up=True)])
    await netlink.change(space, [AddAddress("br0", "10.0.2.1/24"), AddAddress("br0", "fd10:0:2::1/120")])
    links = await by_name(netlink, space)
    assert (links["br0"].kind, links["br0"].mac, links["br0"].mtu, links["br0"].up) == (
        "bridge",
        "02:00:00:00:00:00",
        1450,
        True,
    )
    assert (links["tap0"].kind, links["tap0"].master, links["tap0"].up) == ("tun", "br0", False)
    wanted = {"10.0.2.1/24", "fd10:0:2::1/120"}
    assert wanted <= {address.cidr for address in links["br0"].addresses if address.scope == "global"}


async def an_address_may_be_given_twice_and_taken_once(netlink: Netlink, space: NetworkNamespace) -> None:
    await netlink.change(space, [BRIDGE, AddAddress("br0", "10.0.2.1/24"), AddAddress("br0", "10.0.2.1/24")])
    await netlink.change(space, [DeleteAddress("br0", "10.0.2.1/24")])
    assert (await by_name(netlink, space))["br0"].addresses == ()
    with pytest.raises(CommandFailed):
        await netlink.change(space, [DeleteAddress("br0", "10.0.2.1/24")])


async def a_port_can_leave_its_bridge(netlink: Netlink, space: NetworkNamespace) -> None:
    await netlink.change(space, [BRIDGE, TAP, SetLink("tap0", master="br0")])
    await netlink.change(space, [SetLink("tap0", master="")])
    assert (await by_name(netlink, space))["tap0"].master == ""


async def a_port_learns_until_it_is_told_not_to(netlink: Netlink, space: NetworkNamespace) -> None:
    await netlink.change(space, [BRIDGE, TAP, SetLink("tap0", master="br0")])
    assert (await by_name(netlink, space))["tap0"].learning
    await netlink.change(space, [SetPort("tap0", learning=False)])
    assert not (await by_name(netlink, space))["tap0"].learning
    await netlink.change(space, [SetLink("tap0", master="")])
    with pytest.raises(CommandFailed):
        await netlink.change(space, [SetPort("tap0", learning=False)])


async def a_name_is_taken_once(netlink: Netlink, space: NetworkNamespace) -> None:
    await netlink.change(space, [BRIDGE])
    with pytest.raises(CommandFailed):
        await netlink.change(space, [BRIDGE])


async def the_first_failure_stops_and_what_was_done_stays(netlink: Netlink, space: NetworkNamespace) -> None:
    with pytest.raises(CommandFailed):
        await netlink.change(space, [BRIDGE, SetLink("nothing", up=True), TAP])
    assert set(await by_name(netlink, space)) == {"lo", "br0"}


async def a_deleted_interface_is_gone(netlink: Netlink, space: NetworkNamespace) -> None:
    await netlink.change(space, [BRIDGE, DeleteLink("br0")])
    assert set(await by_name(netlink, space)) == {"lo"}
    with pytest.raises(CommandFailed):
        await netlink.change(space, [DeleteLink("br0")])


async def an_interface_that_is_down_takes_another_name(netlink: Netlink, space: NetworkNamespace) -> None:
    await netlink.change(space, [BRIDGE, SetLink("br0", up=True)])
    with pytest.raises(CommandFailed):
        await netlink.change(space, [BRIDGE, RenameLink("br0", "br1")])
    await netlink.change(space, [SetLink("br0", up=False), RenameLink("br0", "br1")])
    assert set(await by_name(netlink, space)) == {"lo", "br1"}


async def nothing_to_do_is_fine(netlink: Netlink, space: NetworkNamespace) -> None:
    await netlink.change(space, [])
    await netlink.change(space, [BRIDGE, SetLink("br0")])
    assert await netlink.routes(space) == ()


LINK_RULES = (
    a_new_namespace_has_a_loopback_that_is_down,
    what_is_made_is_seen,
    an_address_may_be_given_twice_and_taken_once,
    a_port_can_leave_its_bridge,
    a_port_learns_until_it_is_told_not_to,
    a_name_is_taken_once,
    the_first_failure_stops_and_what_was_done_stays,
    a_deleted_interface_is_gone,
    an_interface_that_is_down_takes_another_name,
    nothing_to_do_is_fine,
)

CHAIN = Chain(
    "prerouting", "type nat hook prerouting priority -100; policy accept;", ('iifname "a" dnat ip to 10.0.2.2',)
)
ONE = Table("inet", "kobune", (CHAIN,))
OTHER = Table("inet", "kobune", (Chain("postrouting", "type nat hook postrouting priority 100; policy accept;", ()),))


async def a_table_is_known_by_its_digest(nftables: Nftables, space: NetworkNamespace) -> None:
    assert await nftables.digest(space, "inet", "kobune") is None
    await nftables.replace(space, ONE)
    assert await nftables.digest(space, "inet", "kobune") == ONE.digest
    assert await nftables.digest(space, "ip", "kobune") is None


async def a_table_is_replaced_as_a_whole(nftables: Nftables, space: NetworkNamespace) -> None:
    for table in (ONE, OTHER, OTHER):
        await nftables.replace(space, table)
        assert await nftables.digest(space, "inet", "kobune") == table.digest


async def a_table_is_deleted_whether_or_not_it_is_there(nftables: Nftables, space: NetworkNamespace) -> None:
    await nftables.replace(space, ONE)
    for _ in range(2):
        await nftables.delete(space, "inet", "kobune")
        assert await nftables.digest(space, "inet", "kobune") is None


TABLE_RULES = (
    a_table_is_known_by_its_digest,
    a_table_is_replaced_as_a_whole,
    a_table_is_deleted_whether_or_not_it_is_there,
)
