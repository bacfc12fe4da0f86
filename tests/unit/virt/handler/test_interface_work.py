"""When the launcher is told of interfaces, and when the pod is cleaned of those that are gone."""

from typing import Any

import pytest
from msgspec import convert

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.virt.handler.instance.interfaces import InterfaceWork, interface_work
from kobune.virt.handler.instance.observed import AttachedNetwork, LauncherPod
from kobune.virt.launcherproto.messages import DomainState, DomainStatus, InterfaceState

ATTACHED = (AttachedNetwork("pod094a367b026"),)


def vmi(state: str | None) -> VirtualMachineInstance:
    lan: dict[str, Any] = {"name": "lan", "bridge": {}} | ({"state": state} if state else {})
    spec = {
        "domain": {"devices": {"interfaces": [{"name": "default", "masquerade": {}}, lan]}},
        "networks": [{"name": "default", "pod": {}}, {"name": "lan", "multus": {"networkName": "lan"}}],
    }
    return convert({"metadata": {"name": "vm", "namespace": "ns"}, "spec": spec}, VirtualMachineInstance)


def domain(**links: bool) -> DomainState:
    found = [InterfaceState(name=name, link_up=up, from_domain=True) for name, up in links.items()]
    return DomainState(sequence=1, status=DomainStatus.RUNNING, interfaces=found)


BOTH, ONE = domain(default=True, lan=True), domain(default=True)
NOTHING, CHANGE, LEFT = InterfaceWork(), InterfaceWork(change=True), InterfaceWork(left=frozenset({"lan"}))


@pytest.mark.parametrize(
    ("state", "attached", "live", "pruned", "work"),
    [
        (None, ATTACHED, BOTH, (), NOTHING),
        (None, (), ONE, (), NOTHING),  # its node has not attached the network yet
        (None, ATTACHED, ONE, (), CHANGE),
        ("down", ATTACHED, BOTH, (), CHANGE),
        ("down", ATTACHED, domain(default=True, lan=False), (), NOTHING),
        ("absent", ATTACHED, BOTH, (), CHANGE),
        ("absent", (), ONE, (), LEFT),
        ("absent", (), ONE, ("lan",), NOTHING),
    ],
)  # fmt: skip
def test_the_work_of_interfaces(
    state: str | None,
    attached: tuple[AttachedNetwork, ...],
    live: DomainState,
    pruned: tuple[str, ...],
    work: InterfaceWork,
) -> None:
    assert interface_work(vmi(state), LauncherPod("u", "p", attached=attached), live, frozenset(pruned)) == work
