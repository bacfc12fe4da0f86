"""A dump of a machine's memory, phase by phase."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachine
from kobune.kube.runtime.decision import PatchObject
from kobune.virt.controllers.virtualmachine.instance import instance as new_instance
from kobune.virt.controllers.virtualmachine.memorydump import DUMP_ANNOTATION, DumpStep, follow_dump, without_dumps
from support.vms import instance, machine_dict, spec

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DUMP = {"name": "dumps", "memoryDump": {"claimName": "dumps", "hotpluggable": True}}
ROOT = spec()["volumes"]
TOLD = {"claimName": "dumps", "startTimestamp": "2026-01-02T03:04:00Z", "targetFileName": "vm-dumps.memory.dump"}


def machine(phase: str, *, volumes: list[Any] | None = None, **request: Any) -> VirtualMachine:
    status = {"memoryDumpRequest": {"claimName": "dumps", "phase": phase, **request}}
    document = machine_dict(status=status)
    document["spec"]["template"]["spec"]["volumes"] = volumes if volumes is not None else ROOT
    return msgspec.convert(document, VirtualMachine)


def running(volumes: list[Any], entry: dict[str, Any] | None = None, phase: str = "Running") -> Any:
    told = [{"name": "dumps", "target": "", **entry}] if entry is not None else []
    return instance(phase=phase, spec_changes={"volumes": volumes}, status={"volumeStatus": told})


def step(vm: VirtualMachine, vmi: Any) -> tuple[list[tuple[str, Any]], dict[str, Any] | None]:
    found = follow_dump(vm, vmi, NOW)
    actions = []
    for action in found.actions:
        assert isinstance(action, PatchObject)
        actions.append((action.resource.plural, action.patch.body))
    return actions, found.request


def test_without_a_request_nothing_is_done() -> None:
    assert follow_dump(msgspec.convert(machine_dict(), VirtualMachine), None, NOW) == DumpStep()


def test_the_claim_becomes_a_volume_of_the_template_and_then_of_the_instance() -> None:
    [(resource, body)], request = step(machine("Associating"), running(ROOT))
    assert (resource, body["spec"]["template"]["spec"]["volumes"]) == ("virtualmachines", [*ROOT, DUMP])
    [(resource, body)], request = step(machine("Associating", volumes=[*ROOT, DUMP]), running(ROOT))
    assert (resource, body["spec"]["volumes"]) == ("virtualmachineinstances", [*ROOT, DUMP])
    assert request is not None
    assert request["phase"] == "Associating"
    actions, request = step(machine("Associating", volumes=[*ROOT, DUMP]), running([*ROOT, DUMP]))
    assert (actions, request) == ([], {"claimName": "dumps", "phase": "InProgress"})


@pytest.mark.parametrize("vmi", [None, running(ROOT, phase="Scheduled")])
def test_a_guest_that_does_not_run_is_waited_for(vmi: Any) -> None:
    assert step(machine("Associating"), vmi) == ([], {"claimName": "dumps", "phase": "Associating"})


def test_what_is_left_of_an_earlier_dump_goes_first() -> None:
    vmi = running(ROOT, {"phase": "UnMountedFromPod"})
    actions, request = step(machine("Associating", volumes=[*ROOT, DUMP]), vmi)
    assert (actions, request) == ([], {"claimName": "dumps", "phase": "Associating"})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"phase": "AttachedToNode", "memoryDumpVolume": {"claimName": "dumps"}}, {"phase": "InProgress"}),
        (
            {"phase": "MemoryDumpInProgress", "memoryDumpVolume": TOLD},
            {"phase": "InProgress", "startTimestamp": TOLD["startTimestamp"]},
        ),
        (
            {"phase": "MemoryDumpCompleted", "memoryDumpVolume": {**TOLD, "endTimestamp": "2026-01-02T03:04:04Z"}},
            {
                "phase": "Unmounting",
                "startTimestamp": TOLD["startTimestamp"],
                "endTimestamp": "2026-01-02T03:04:04Z",
                "fileName": TOLD["targetFileName"],
            },
        ),
        (
            {"phase": "MemoryDumpFailed", "message": "no space", "memoryDumpVolume": TOLD},
            {"phase": "Failed", "startTimestamp": TOLD["startTimestamp"], "message": "no space"},
        ),
    ],
)
def test_the_request_tells_how_far_the_dump_is(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    actions, request = step(machine("InProgress", volumes=[*ROOT, DUMP]), running([*ROOT, DUMP], entry))
    assert (actions, request) == ([], {"claimName": "dumps", **expected})


@pytest.mark.parametrize("vmi", [None, running(ROOT)])
def test_a_guest_that_stops_meanwhile_fails_the_dump(vmi: Any) -> None:
    _, request = step(machine("InProgress", volumes=[*ROOT, DUMP]), vmi)
    assert request is not None
    assert (request["phase"], request["endTimestamp"]) == ("Failed", "2026-01-02T03:04:05Z")


def test_a_finished_dump_is_let_go_of_and_its_claim_tells_of_it() -> None:
    vm = machine("Unmounting", volumes=[*ROOT, DUMP], fileName="f.memory.dump")
    [(resource, body)], request = step(vm, running([*ROOT, DUMP], {"phase": "MemoryDumpCompleted"}))
    assert (resource, body["spec"]["volumes"]) == ("virtualmachineinstances", ROOT)
    assert step(vm, running(ROOT, {"phase": "UnMountedFromPod"}))[1] == request
    [(resource, body)], request = step(vm, running(ROOT))
    assert (resource, body["metadata"]["annotations"]) == (
        "persistentvolumeclaims",
        {DUMP_ANNOTATION: "f.memory.dump"},
    )
    assert request is not None
    assert request["phase"] == "Completed"
    assert step(machine("Completed", volumes=[*ROOT, DUMP]), running(ROOT))[0] == []


def test_a_failed_dump_leaves_the_instance() -> None:
    vm = machine("Failed", volumes=[*ROOT, DUMP])
    actions, request = step(vm, running([*ROOT, DUMP]))
    assert [resource for resource, _ in actions] == ["virtualmachineinstances", "persistentvolumeclaims"]
    assert step(vm, running(ROOT)) == ([], request)


def test_a_removed_dump_leaves_everything() -> None:
    _, request = step(machine("Completed", volumes=[*ROOT, DUMP], remove=True), running(ROOT))
    assert request == {"claimName": "dumps", "phase": "Dissociating", "remove": True}
    vm = machine("Dissociating", volumes=[*ROOT, DUMP], remove=True)
    [(resource, body)], request = step(vm, running(ROOT))
    assert (resource, body["spec"]["template"]["spec"]["volumes"]) == ("virtualmachines", ROOT)
    assert request is not None
    assert step(machine("Dissociating", remove=True), running(ROOT)) == ([], None)
    assert step(machine("Dissociating", remove=True), None) == ([], None)


def test_a_new_instance_is_made_without_the_volume_of_a_dump() -> None:
    made = new_instance(machine("Completed", volumes=[*ROOT, DUMP]))
    assert made["spec"]["volumes"] == ROOT
    assert without_dumps({"volumes": [DUMP]}) == {"volumes": []}
    assert without_dumps({}) == {}
