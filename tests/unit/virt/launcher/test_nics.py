"""What leads from a running domain's interfaces to those that the VMI asks for."""

from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.virt.domain.facts import Facts, InterfaceFacts
from kobune.virt.launcher.nics import NicPlan, plan_nics

LAN = (
    '<interface type="ethernet"><mac address="02:00:00:00:00:05"/><target dev="tap1" managed="no"/>'
    '{link}<alias name="ua-lan"/></interface>'
)


def vmi(state: str | None) -> VirtualMachineInstance:
    interface: dict[str, Any] = {"name": "lan", "bridge": {}} | ({"state": state} if state else {})
    spec = {
        "domain": {"devices": {"interfaces": [interface]}},
        "networks": [{"name": "lan", "multus": {"networkName": "lan"}}],
    }
    return msgspec.convert({"metadata": {"name": "vm", "namespace": "ns"}, "spec": spec}, VirtualMachineInstance)


def domain(*interfaces: str) -> str:
    return f"<domain><devices>{''.join(interfaces)}</devices></domain>"


UP, DOWN = domain(LAN.format(link="")), domain(LAN.format(link='<link state="down"/>'))
READY = Facts(interfaces=[InterfaceFacts(name="lan", tap="tap1", mac="02:00:00:00:00:05", mtu=1400)])


@pytest.mark.parametrize(
    ("state", "live", "facts"),
    [
        (None, UP, READY),
        ("up", UP, READY),
        ("down", DOWN, READY),
        ("absent", domain(), READY),
        (None, domain(), Facts()),
    ],
)
def test_nothing_is_done_where_all_is_as_it_should_be(state: str | None, live: str, facts: Facts) -> None:
    assert plan_nics(vmi(state), facts, live) == NicPlan()


def test_an_interface_that_its_node_has_made_ready_is_plugged_in() -> None:
    plan = plan_nics(vmi("down"), READY, domain())
    (xml,) = plan.attach
    element = ElementTree.fromstring(xml)
    assert [element.find(path) is not None for path in ("alias[@name='ua-lan']", "target[@dev='tap1']")] == [True] * 2
    link = element.find("link")
    assert link is not None
    assert link.get("state") == "down", "it comes as it is wanted"
    assert (plan.detach, plan.update) == ((), ())


def test_an_absent_interface_is_unplugged() -> None:
    assert plan_nics(vmi("absent"), READY, UP) == NicPlan(detach=("ua-lan",))


@pytest.mark.parametrize(("state", "live", "link"), [("down", UP, "down"), (None, DOWN, "up"), ("up", DOWN, "up")])
def test_a_link_is_changed_and_nothing_else_of_the_device(state: str | None, live: str, link: str) -> None:
    (xml,) = plan_nics(vmi(state), READY, live).update
    element = ElementTree.fromstring(xml)
    assert [found.get("state") for found in element.findall("link")] == [link]
    kept = [child.tag for child in element if child.tag != "link"]
    assert kept == ["mac", "target", "alias"]
