"""Decisions about VirtualMachines, as tables and single stories."""

from dataclasses import replace
from typing import Any

from kobune.kube.runtime import Create, Decision, Delete, PatchObject
from kobune.virt.controllers.virtualmachine.decide import Observed, decide
from kobune.virt.controllers.virtualmachine.instance import controller_revision
from kobune.virt.controllers.virtualmachine.instance import instance as render_instance
from kobune.virt.controllers.words import VM_FINALIZER
from support.vms import NOW, VM_UID, VMI_UID, condition, instance, machine

DELETED = "2026-01-01T00:00:00Z"


def seen(vm: Any = None, vmi: Any = None, **more: Any) -> Observed:
    return Observed(vm or machine(), vmi, more.get("foreign", False), more.get("revision"), NOW)


def kinds(decision: Decision[Any]) -> list[str]:
    return [type(action).__name__ for action in decision.actions]


def status_of(decision: Decision[Any]) -> dict[str, Any]:
    assert decision.status is not None
    return decision.status.status


def test_a_new_machine_first_gets_its_finalizer() -> None:
    decision = decide(seen(machine(finalizers=[])))
    (patch,) = decision.actions
    assert isinstance(patch, PatchObject)
    assert patch.patch.body["metadata"]["finalizers"] == [VM_FINALIZER]
    assert patch.patch.body["metadata"]["resourceVersion"] == "7"


def test_starting_keeps_the_revision_and_makes_the_instance() -> None:
    decision = decide(seen())
    assert kinds(decision) == ["Create", "Create"]
    revision, vmi = decision.actions
    assert isinstance(revision, Create)
    assert isinstance(vmi, Create)
    assert revision.obj["metadata"]["name"] == f"revision-start-vm-{VM_UID}-3"
    assert vmi.owner_uid == VM_UID
    assert vmi.obj["status"]["virtualMachineRevisionName"] == revision.obj["metadata"]["name"]
    assert [event.reason for event in decision.events] == ["SuccessfulCreate"]


def test_an_instance_of_somebody_else_is_left_alone_and_told() -> None:
    decision = decide(seen(foreign=True))
    assert decision.actions == ()
    assert [event.reason for event in decision.events] == ["FailedCreate"]


def test_stopping_deletes_exactly_this_instance() -> None:
    decision = decide(seen(machine(strategy="Halted"), instance(phase="Running")))
    (delete,) = decision.actions
    assert isinstance(delete, Delete)
    assert delete.uid == VMI_UID
    assert decide(seen(machine(strategy="Halted"), instance(phase="Running", deletionTimestamp=DELETED))).actions == ()


def test_a_failed_start_waits_and_then_tries_again() -> None:
    vm, failed = machine(), instance(phase="Failed")
    first = decide(seen(vm, failed))
    assert first.actions == ()
    assert first.requeue_after is not None
    assert 9 <= first.requeue_after.total_seconds() <= 10
    assert status_of(first)["startFailure"]["consecutiveFailCount"] == 1
    assert status_of(first)["printableStatus"] == "CrashLoopBackOff"
    waited = machine(status={"startFailure": {**status_of(first)["startFailure"], "retryAfterTimestamp": DELETED}})
    assert kinds(decide(seen(waited, failed))) == ["Delete"]


def test_an_instance_that_ended_while_being_deleted_is_released() -> None:
    ended = instance(phase="Succeeded", deletionTimestamp=DELETED)
    (patch,) = decide(seen(vmi=ended)).actions
    assert isinstance(patch, PatchObject)
    assert VM_FINALIZER not in patch.patch.body["metadata"]["finalizers"]


def test_deleting_a_machine_ends_its_instance_before_the_finalizer_goes() -> None:
    vm = machine(deletionTimestamp=DELETED)
    assert kinds(decide(seen(vm, instance(phase="Running")))) == ["Delete"]
    (patch,) = decide(seen(vm)).actions
    assert isinstance(patch, PatchObject)
    assert patch.patch.body["metadata"]["finalizers"] is None


def test_orphaning_leaves_the_instance_alone() -> None:
    vm = machine(deletionTimestamp=DELETED, finalizers=[VM_FINALIZER, "orphan"])
    assert decide(seen(vm, instance(phase="Running"))).actions == ()


def test_readiness_is_that_of_the_instance() -> None:
    ready = instance(phase="Running", status={"conditions": [{"type": "Ready", "status": "True"}]})
    status = status_of(decide(seen(vmi=ready)))
    assert status["ready"] is True
    assert condition(status, "Ready")["status"] == "True"
    stopped = status_of(decide(seen(machine(strategy="Halted"))))
    assert "ready" not in stopped
    assert condition(stopped, "Ready")["reason"] == "VMINotExists"


def test_a_changed_template_asks_for_a_restart_until_it_happened() -> None:
    vm = machine()
    made_from = controller_revision(vm)
    running = instance(phase="Running")
    assert condition(status_of(decide(seen(vm, running, revision=made_from))), "RestartRequired") == {}
    other: dict[str, Any] = {"data": {"spec": {"template": {"spec": {"domain": {"devices": {}}}}}}}
    asked = status_of(decide(seen(vm, running, revision=other)))
    assert condition(asked, "RestartRequired")["status"] == "True"
    told = replace(seen(machine(strategy="Manual", status=asked)), vmi=None)
    assert condition(status_of(decide(told)), "RestartRequired") == {}


def test_a_converged_machine_gives_no_actions_and_no_status_change() -> None:
    vmi = instance(phase="Running", status={"conditions": [{"type": "Ready", "status": "True"}]})
    settled = status_of(decide(seen(vmi=vmi)))
    again = decide(seen(machine(status=settled), vmi))
    assert again.actions == ()
    assert status_of(again) == settled


def test_the_instance_inherits_the_template_but_not_kubectl_s_notes() -> None:
    vm = machine()
    vm.spec.template.metadata.annotations.update({"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"})
    rendered = render_instance(vm)
    assert rendered["metadata"]["annotations"] == {"a": "b", "kubevirt.io/vm-generation": "3"}
    assert rendered["metadata"]["finalizers"] == [VM_FINALIZER]
    assert rendered["spec"]["volumes"][0]["containerDisk"]["image"] == "registry.example/demo:1"


def test_what_instances_of_the_past_were_made_from_is_forgotten() -> None:
    vmi = instance(phase="Running", status={"virtualMachineRevisionName": "revision-start-vm-x-2"})
    starts = {f"revision-start-vm-x-{number}": str(number) for number in (1, 2)}
    (delete,) = decide(Observed(machine(), vmi, False, None, NOW, starts=starts)).actions
    assert isinstance(delete, Delete)
    assert (delete.key.name, delete.uid) == ("revision-start-vm-x-1", "1")
