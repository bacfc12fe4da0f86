"""Clones: everything but the identity."""

from typing import Any

import msgspec
import pytest

from kobune.api.clone import VirtualMachineClone
from kobune.kube.runtime import Create, Decision
from kobune.virt.controllers.clone.copying import CLONE_ANNOTATION, keeps
from kobune.virt.controllers.clone.decide import Observed, decide
from support.vms import NOW, machine_dict


def clone(**changes: Any) -> VirtualMachineClone:
    raw = {
        "metadata": {"name": "c", "namespace": "ns", "uid": "clone-uid"},
        "spec": {
            "source": {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "vm"},
            "target": {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "copy"},
            **changes,
        },
    }
    return msgspec.convert(raw, VirtualMachineClone)


def source() -> dict[str, Any]:
    vm = machine_dict(labels={"app": "x", "team/a": "1"}, annotations={"note": "n"})
    domain = vm["spec"]["template"]["spec"]["domain"]
    domain["devices"]["interfaces"][0]["macAddress"] = "de:ad:00:00:be:af"
    domain["firmware"] = {"uuid": "u", "serial": "s", "bootloader": {"bios": {}}}
    return vm


def look(observed: VirtualMachineClone, vm: dict[str, Any] | None, target: Any = None) -> Decision[Any]:
    return decide(Observed(observed, vm, target, NOW))


def status_of(decision: Decision[Any]) -> dict[str, Any]:
    assert decision.status is not None
    return decision.status.status


def test_the_copy_is_halted_and_has_an_identity_of_its_own() -> None:
    (create,) = look(clone(labelFilters=["*", "!team/*"]), source()).actions
    assert isinstance(create, Create)
    assert create.obj["metadata"] == {
        "name": "copy",
        "labels": {"app": "x"},
        "annotations": {"note": "n", CLONE_ANNOTATION: "clone-uid"},
    }
    assert create.obj["spec"]["runStrategy"] == "Halted"
    domain = create.obj["spec"]["template"]["spec"]["domain"]
    assert domain["firmware"] == {"bootloader": {"bios": {}}}
    assert domain["devices"]["interfaces"] == [{"name": "default", "masquerade": {}}]


def test_addresses_and_serial_may_be_given() -> None:
    observed = clone(newMacAddresses={"default": "de:ad:00:00:be:01"}, newSMBiosSerial="S2")
    (create,) = look(observed, source()).actions
    assert isinstance(create, Create)
    domain = create.obj["spec"]["template"]["spec"]["domain"]
    assert domain["devices"]["interfaces"][0]["macAddress"] == "de:ad:00:00:be:01"
    assert domain["firmware"]["serial"] == "S2"


def test_it_has_succeeded_once_its_own_machine_is_there_and_failed_when_it_is_another_s() -> None:
    ours = {"metadata": {"annotations": {CLONE_ANNOTATION: "clone-uid"}}}
    done = status_of(look(clone(), source(), ours))
    assert (done["phase"], done["targetName"]) == ("Succeeded", "copy")
    taken = status_of(look(clone(), source(), {"metadata": {}}))
    assert taken["phase"] == "Failed"


def test_it_waits_for_its_source_and_refuses_what_it_cannot_copy() -> None:
    waiting = look(clone(), None)
    assert "phase" not in status_of(waiting)
    assert [event.reason for event in waiting.events] == ["SourceDoesNotExist"]
    with_claim = source()
    with_claim["spec"]["template"]["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]
    assert status_of(look(clone(), with_claim))["phase"] == "Failed"


def test_a_snapshot_is_a_source_as_well_once_it_is_ready() -> None:
    kept = clone(source={"apiGroup": "snapshot.kubevirt.io", "kind": "VirtualMachineSnapshot", "name": "sn"})
    waiting = status_of(look(kept, None))
    assert waiting["conditions"][0]["message"] == "VirtualMachineSnapshot sn is not ready"
    (create,) = look(kept, source()).actions
    assert isinstance(create, Create)
    assert create.obj["metadata"]["name"] == "copy"


@pytest.mark.parametrize(
    ("key", "patterns", "kept"),
    [
        ("a/b", [], True),
        ("a/b", ["*"], True),
        ("a/b", ["*", "!a/*"], False),
        ("a/b", ["c/*"], False),
        ("a/b", ["a/b"], True),
        ("a/b", ["!c"], True),
    ],
)
def test_filters(key: str, patterns: list[str], kept: bool) -> None:
    assert keeps(key, patterns) is kept
