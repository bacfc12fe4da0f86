"""Which changes of a machine's template reach its instance, and which need a restart."""

from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.kube.runtime import PatchObject
from kobune.virt.controllers.virtualmachine.instance import controller_revision
from kobune.virt.controllers.virtualmachine.liveupdate import (
    FEWER_SOCKETS,
    MEMORY,
    MULTIQUEUE,
    OTHER_FIELD,
    RUNS_ALREADY,
    TOO_MANY_SOCKETS,
    follow,
    restart_reason,
)
from kobune.virt.controllers.virtualmachine.sizing import Sizing
from support.vms import instance, machine_dict, spec

CPU: dict[str, Any] = {"sockets": 2, "cores": 1, "threads": 1}


def template(*, cpu: dict[str, Any] | None = None, memory: str = "64Mi", **more: Any) -> dict[str, Any]:
    changed = spec(**more)
    changed["domain"] |= {"cpu": cpu or CPU, "memory": {"guest": memory}}
    return changed


def machine_of(specification: dict[str, Any]) -> VirtualMachine:
    raw = machine_dict()
    raw["spec"]["template"]["spec"] = specification
    return msgspec.convert(raw, VirtualMachine)


def guest(phase: str = "Running", *, cpu: dict[str, Any] | None = None, **more: Any) -> VirtualMachineInstance:
    changed = template(cpu={"maxSockets": 8, **CPU, **(cpu or {})})
    return instance(phase=phase, spec_changes={**changed, **more})


def reason(specification: dict[str, Any], vmi: VirtualMachineInstance) -> str:
    return restart_reason(controller_revision(machine_of(template())), machine_of(specification), vmi)


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        (template(), ""),
        (template(cpu={**CPU, "cores": 2}), OTHER_FIELD),
        (template(hostname="other"), OTHER_FIELD),
        (template(nodeSelector={"a": "b"}), ""),
        (template(tolerations=[{"operator": "Exists"}]), ""),
        (template(affinity={"nodeAffinity": {}}), ""),
        (template(memory="128Mi"), MEMORY),
        (template(cpu={**CPU, "sockets": 4}), RUNS_ALREADY),
        (template(cpu={**CPU, "sockets": 9}), TOO_MANY_SOCKETS),
        (template(cpu={**CPU, "sockets": 1}), FEWER_SOCKETS),
        (spec(), OTHER_FIELD),
    ],
)
def test_what_needs_a_restart_of_a_guest_that_runs(specification: dict[str, Any], expected: str) -> None:
    assert reason(specification, guest()) == expected


def test_sockets_follow_until_the_guest_is_handed_over() -> None:
    more = template(cpu={**CPU, "sockets": 4})
    waiting = guest("Scheduling")
    assert reason(more, waiting) == ""
    (patch,) = follow(machine_of(more), waiting, Sizing())
    assert isinstance(patch, PatchObject)
    assert patch.patch.body == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "9"},
        {"op": "replace", "path": "/spec/domain/cpu/sockets", "value": 4},
    ]
    # Once it has them, nothing is left to do or to say, whatever becomes of the guest.
    having = guest(cpu={"sockets": 4})
    assert reason(more, having) == ""
    assert follow(machine_of(more), having, Sizing()) == []
    pinned = guest("Scheduling", cpu={"dedicatedCpuPlacement": True})
    assert follow(machine_of(more), pinned, Sizing()) == []


def test_queues_per_cpu_are_made_once() -> None:
    vmi = guest("Scheduling")
    vmi = msgspec.convert(msgspec.to_builtins(vmi), VirtualMachineInstance)
    raw = msgspec.to_builtins(vmi)
    raw["spec"]["domain"]["devices"]["networkInterfaceMultiqueue"] = True
    many = msgspec.convert(raw, VirtualMachineInstance)
    assert reason(template(cpu={**CPU, "sockets": 4}), many) == MULTIQUEUE


def test_where_a_guest_may_run_is_brought_to_it() -> None:
    affinity: dict[str, Any] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    wanted = machine_of(template(nodeSelector={"zone": "a"}, affinity=affinity))
    (patch,) = follow(wanted, guest(tolerations=[{"operator": "Exists"}]), Sizing())
    assert isinstance(patch, PatchObject)
    _, *operations = patch.patch.body
    assert [(one["op"], one["path"]) for one in operations] == [
        ("add", "/spec/nodeSelector"),
        ("add", "/spec/affinity"),
        ("remove", "/spec/tolerations"),
    ]
    assert operations[0]["value"] == {"zone": "a"}


@pytest.mark.parametrize(
    "vmi", [guest("Succeeded"), instance(phase="Running", deletionTimestamp="2026-01-01T00:00:00Z")]
)
def test_an_instance_that_ends_is_left_alone(vmi: VirtualMachineInstance) -> None:
    assert follow(machine_of(template(nodeSelector={"zone": "a"})), vmi, Sizing()) == []
