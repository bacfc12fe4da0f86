"""The fakes of interfaces and nftables keep the contract; what goes to `ip -batch` cannot be forged."""

from collections.abc import Awaitable, Callable

import pytest

from kobune.host.netlink import AddBridge, IpCommand, Netlink, SetLink
from kobune.host.netlink.fake import FakeNetlink
from kobune.host.netns import HOST, NetworkNamespace
from kobune.host.nftables import Nftables
from kobune.host.nftables.fake import FakeNftables
from kobune.host.run.fake import FakeRunner
from support.netlink_contract import LINK_RULES, TABLE_RULES


@pytest.mark.parametrize("rule", LINK_RULES, ids=lambda rule: rule.__name__)
async def test_links(rule: Callable[[Netlink, NetworkNamespace], Awaitable[None]]) -> None:
    await rule(FakeNetlink(), HOST)


@pytest.mark.parametrize("rule", TABLE_RULES, ids=lambda rule: rule.__name__)
async def test_tables(rule: Callable[[Nftables, NetworkNamespace], Awaitable[None]]) -> None:
    await rule(FakeNftables(), HOST)


@pytest.mark.parametrize("mac", ["02:00:00:00:00:00\nlink delete eth0", "", "a b"])
async def test_a_word_that_is_none_is_refused_before_anything_runs(mac: str) -> None:
    runner = FakeRunner()
    with pytest.raises(ValueError, match="cannot be a word"):
        await IpCommand(runner).change(HOST, [SetLink("a", up=True), AddBridge("br0", mac, 1500)])
    assert runner.calls == []
