"""Interfaces of a machine that follow its template while it runs, and those that wait for a restart."""

from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.kube.runtime.decision import PatchObject
from kobune.virt.admission.validation.networks import check_plugged_networks
from kobune.virt.controllers.virtualmachine.networks import networks_need_restart, plug_interfaces
from support.vms import instance_dict, machine

DEFAULT = ({"name": "default", "masquerade": {}}, {"name": "default", "pod": {}})
LAN = ({"name": "lan", "bridge": {}}, {"name": "lan", "multus": {"networkName": "lan"}})
Pair = tuple[dict[str, Any], dict[str, Any]]
Given = list[tuple[str, str | None]] | None


def changed(pair: Pair, **interface: Any) -> Pair:
    return {**pair[0], **interface}, pair[1]


def raw(*attached: Pair) -> dict[str, Any]:
    return {
        "domain": {"devices": {"interfaces": [interface for interface, _ in attached]}},
        "networks": [network for _, network in attached],
    }


def spec(*attached: Pair) -> VirtualMachineInstanceSpec:
    return msgspec.convert(raw(*attached), VirtualMachineInstanceSpec)


def vmi(*attached: Pair, phase: str = "Running") -> VirtualMachineInstance:
    return msgspec.convert({**instance_dict(phase=phase), "spec": raw(*attached)}, VirtualMachineInstance)


def plugged(template: VirtualMachineInstanceSpec, running: VirtualMachineInstance) -> Given:
    """Names and states that the instance is given; None when it stays as it is. What is given is always admitted."""
    vm = machine()
    vm = msgspec.structs.replace(
        vm, spec=msgspec.structs.replace(vm.spec, template=msgspec.structs.replace(vm.spec.template, spec=template))
    )
    actions = plug_interfaces(vm, running)
    if not actions:
        return None
    (action,) = actions
    assert isinstance(action, PatchObject)
    body = action.patch.body
    assert body["metadata"]["resourceVersion"] == running.metadata.resource_version
    interfaces = body["spec"]["domain"]["devices"]["interfaces"]
    after = {
        **msgspec.to_builtins(running),
        "spec": {"networks": body["spec"]["networks"], "domain": {"devices": {"interfaces": interfaces}}},
    }
    assert check_plugged_networks(running, msgspec.convert(after, VirtualMachineInstance)) == []
    return [(interface["name"], interface.get("state")) for interface in interfaces]


ABSENT, DOWN = changed(LAN, state="absent"), changed(LAN, state="down")


@pytest.mark.parametrize(
    ("template", "running", "given"),
    [
        (spec(DEFAULT), vmi(DEFAULT), None),
        (spec(DEFAULT, LAN), vmi(DEFAULT), [("default", None), ("lan", None)]),
        (spec(DEFAULT, ABSENT), vmi(DEFAULT), None),
        (spec(DEFAULT, ABSENT), vmi(DEFAULT, LAN), [("default", None), ("lan", "absent")]),
        (spec(DEFAULT, LAN), vmi(DEFAULT, ABSENT), [("default", None), ("lan", None)]),
        (spec(DEFAULT, DOWN), vmi(DEFAULT, LAN), [("default", None), ("lan", "down")]),
        (spec(changed(DEFAULT, state="down")), vmi(DEFAULT), [("default", "down")]),
        (spec(DEFAULT, LAN), vmi(DEFAULT, phase="Scheduled"), None),
        (spec(DEFAULT, changed(LAN, model="e1000e")), vmi(DEFAULT, LAN), None),
    ],
)  # fmt: skip
def test_the_instance_follows_its_template(
    template: VirtualMachineInstanceSpec, running: VirtualMachineInstance, given: Given
) -> None:
    assert plugged(template, running) == given


@pytest.mark.parametrize(
    ("then", "now", "restart"),
    [
        (spec(DEFAULT), spec(DEFAULT), False),
        (spec(DEFAULT), spec(DEFAULT, LAN), False),
        (spec(DEFAULT, LAN), spec(DEFAULT, ABSENT), False),
        (spec(DEFAULT, LAN), spec(DEFAULT, DOWN), False),
        (spec(DEFAULT, ABSENT), spec(DEFAULT), False),
        (spec(DEFAULT, LAN), spec(DEFAULT), True),
        (spec(DEFAULT, LAN), spec(DEFAULT, changed(LAN, model="e1000e")), True),
        (spec(DEFAULT, LAN), spec(DEFAULT, (LAN[0], {"name": "lan", "multus": {"networkName": "other"}})), True),
        (spec(LAN), spec(LAN, DEFAULT), True),
    ],
)  # fmt: skip
def test_what_does_not_follow_waits_for_a_restart(
    then: VirtualMachineInstanceSpec, now: VirtualMachineInstanceSpec, restart: bool
) -> None:
    assert networks_need_restart(then, now) is restart


def test_a_component_cannot_plug_in_anything_else() -> None:
    for after in (
        vmi(DEFAULT, changed(LAN, model="e1000e")),
        vmi(changed(DEFAULT, macAddress="02:00:00:00:00:07"), LAN),
    ):
        assert check_plugged_networks(vmi(DEFAULT, LAN), after)
    other = ({"name": "main", "masquerade": {}}, {"name": "main", "pod": {}})
    assert check_plugged_networks(vmi(LAN), vmi(LAN, other))
