"""iproute2 and nft keep the same contract as their fakes, in namespaces of the test's own."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from kobune.host.netlink import IpCommand, Netlink
from kobune.host.netns import NamespaceGone, NetworkNamespace
from kobune.host.nftables import Chain, Nftables, NftCommand, Table
from kobune.host.run import CommandFailed, HostRunner
from support.netlab import space
from support.netlink_contract import LINK_RULES, TABLE_RULES

pytestmark = pytest.mark.node


@pytest.fixture
def namespace() -> Iterator[NetworkNamespace]:
    with space(loopback=False) as made, NetworkNamespace.of_process(made.pid) as namespace:
        yield namespace


@pytest.mark.parametrize("rule", LINK_RULES, ids=lambda rule: rule.__name__)
async def test_links(rule: Callable[[Netlink, NetworkNamespace], Awaitable[None]], namespace: NetworkNamespace) -> None:
    await rule(IpCommand(HostRunner()), namespace)


@pytest.mark.parametrize("rule", TABLE_RULES, ids=lambda rule: rule.__name__)
async def test_tables(
    rule: Callable[[Nftables, NetworkNamespace], Awaitable[None]], namespace: NetworkNamespace
) -> None:
    await rule(NftCommand(HostRunner()), namespace)


async def test_a_table_with_an_error_leaves_the_old_one_in_place(namespace: NetworkNamespace) -> None:
    nftables = NftCommand(HostRunner())
    good = Table("inet", "kobune", (Chain("a", "type filter hook input priority 0; policy accept;", ()),))
    await nftables.replace(namespace, good)
    with pytest.raises(CommandFailed):
        await nftables.replace(namespace, Table("inet", "kobune", (Chain("a", "", ("no such rule",)),)))
    assert await nftables.digest(namespace, "inet", "kobune") == good.digest


async def test_a_namespace_outlives_its_process_as_long_as_it_is_held() -> None:
    with space() as made:
        held = NetworkNamespace.of_process(made.pid)
        identity = held.identity
    with held:
        assert held.identity == identity
        assert "lo" in {link.name for link in await IpCommand(HostRunner()).links(held)}
    with pytest.raises(NamespaceGone):
        NetworkNamespace.at(Path("/run/netns/there-is-none"))
