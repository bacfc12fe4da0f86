"""Snapshots and restores of machines: what is kept, what is brought back, and what is refused."""

from datetime import timedelta
from typing import Any

import msgspec

from kobune.api.kubevirt import VirtualMachine
from kobune.api.snapshot import VirtualMachineRestore, VirtualMachineSnapshot, VirtualMachineSnapshotContent
from kobune.base.clock import format_time
from kobune.kube.runtime import Create, Decision, Delete, PatchObject
from kobune.virt.controllers.restore import decide as restores
from kobune.virt.controllers.snapshot import decide as snapshots
from support.vms import NOW, condition, machine, machine_dict

SOURCE = {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "vm"}


def snapshot(status: dict[str, Any] | None = None, **more: Any) -> VirtualMachineSnapshot:
    metadata = {
        "name": "sn",
        "namespace": "ns",
        "uid": "s1",
        "resourceVersion": "5",
        "creationTimestamp": format_time(NOW - timedelta(minutes=1)),
        "finalizers": [snapshots.FINALIZER],
        **more.pop("metadata", {}),
    }
    raw = {"metadata": metadata, "spec": {"source": SOURCE, **more}, "status": status or {}}
    return msgspec.convert(raw, VirtualMachineSnapshot)


def content(*, ready: bool = True) -> VirtualMachineSnapshotContent:
    raw = {
        "metadata": {"name": "vmsnapshot-content-s1", "namespace": "ns", "uid": "c1", "finalizers": ["x/protection"]},
        "spec": {"source": {"virtualMachine": machine_dict(strategy="Halted")}, "virtualMachineSnapshotName": "sn"},
        "status": {"readyToUse": True, "creationTime": format_time(NOW)} if ready else {},
    }
    return msgspec.convert(raw, VirtualMachineSnapshotContent)


def step(
    one: VirtualMachineSnapshot, vm: VirtualMachine | None = None, kept: VirtualMachineSnapshotContent | None = None
) -> Decision[Any]:
    return snapshots.decide(snapshots.Observed(one, vm, kept, NOW))


def status_of(decision: Decision[Any]) -> dict[str, Any]:
    assert decision.status is not None
    return decision.status.status


def test_a_machine_is_kept_and_then_ready() -> None:
    (finalizer,) = step(snapshot(metadata={"finalizers": []}), machine()).actions
    assert isinstance(finalizer, PatchObject)
    (create,) = step(snapshot(), machine(labels={"app": "x"})).actions
    assert isinstance(create, Create)
    assert create.obj["metadata"]["name"] == "vmsnapshot-content-s1"
    kept = create.obj["spec"]["source"]["virtualMachine"]
    assert kept["metadata"]["labels"] == {"app": "x"}
    assert "finalizers" not in kept["metadata"]
    (ready,) = step(snapshot(), machine(), content(ready=False)).actions
    assert isinstance(ready, PatchObject)
    assert ready.subresource == "status"
    status = status_of(step(snapshot(), machine(), content()))
    assert (status["phase"], status["readyToUse"]) == ("Succeeded", True)
    assert status["virtualMachineSnapshotContentName"] == "vmsnapshot-content-s1"
    assert (condition(status, "Ready")["status"], condition(status, "Progressing")["status"]) == ("True", "False")


def test_a_machine_that_is_not_there_is_waited_for_until_it_is_too_late() -> None:
    waiting = step(snapshot())
    status = status_of(waiting)
    assert (status["phase"], status["readyToUse"]) == ("InProgress", False)
    assert condition(status, "Progressing") | {"lastTransitionTime": ""} == {
        "type": "Progressing",
        "status": "False",
        "reason": "Source does not exist",
        "lastTransitionTime": "",
    }
    assert waiting.requeue_after == timedelta(minutes=4)
    late = status_of(step(snapshot(failureDeadline="30s")))
    assert (late["phase"], late["error"]["message"]) == ("Failed", "snapshot deadline exceeded")
    assert step(snapshot(failureDeadline="0s")).requeue_after is None


def test_disks_in_claims_are_refused() -> None:
    raw = machine_dict()
    raw["spec"]["template"]["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    decision = step(snapshot(), msgspec.convert(raw, VirtualMachine))
    assert decision.actions == ()
    assert "cannot be kept in a snapshot yet: data" in status_of(decision)["error"]["message"]


def test_the_content_goes_before_the_snapshot_unless_it_is_retained() -> None:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    release, delete = step(snapshot(metadata=gone), machine(), content()).actions
    assert isinstance(release, PatchObject)
    assert isinstance(delete, Delete)
    for last in (
        step(snapshot(metadata=gone), machine()),
        step(snapshot(metadata=gone, deletionPolicy="retain"), machine(), content()),
    ):
        (finalizer,) = last.actions
        assert isinstance(finalizer, PatchObject)
        assert finalizer.patch.body["metadata"]["finalizers"] is None


def restore(**more: Any) -> VirtualMachineRestore:
    raw = {
        "metadata": {"name": "re", "namespace": "ns", "uid": "r1"},
        "spec": {"target": SOURCE, "virtualMachineSnapshotName": "sn", **more},
    }
    return msgspec.convert(raw, VirtualMachineRestore)


READY = {"readyToUse": True, "phase": "Succeeded", "virtualMachineSnapshotContentName": "vmsnapshot-content-s1"}


def bring_back(
    one: VirtualMachineRestore, vm: VirtualMachine | None, kept: VirtualMachineSnapshot | None = None
) -> Decision[Any]:
    return restores.decide(restores.Observed(one, vm, kept or snapshot(READY), content(), NOW))


def test_a_machine_gets_the_specification_that_was_kept() -> None:
    patches = ['{"op": "replace", "path": "/spec/runStrategy", "value": "Manual"}']
    (patch,) = bring_back(restore(patches=patches), machine()).actions
    assert isinstance(patch, PatchObject)
    test, spec, annotations, own = patch.patch.body
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert spec["value"]["runStrategy"] == "Halted"
    assert annotations["value"] == {"restore.kubevirt.io/lastRestoreUID": "r1"}
    assert own["value"] == "Manual"
    done = bring_back(restore(), machine(annotations={"restore.kubevirt.io/lastRestoreUID": "r1"}))
    status = status_of(done)
    assert done.actions == ()
    assert status["complete"] is True
    assert (condition(status, "Ready")["status"], condition(status, "Progressing")["status"]) == ("True", "False")


def test_a_machine_that_is_gone_is_made_again() -> None:
    (create,) = bring_back(restore(), None).actions
    assert isinstance(create, Create)
    assert create.obj["metadata"]["name"] == "vm"


def test_a_machine_that_ran_is_brought_back_halted() -> None:
    ran = content()
    assert ran.spec.source.virtual_machine is not None
    for strategy, running, expected in (("Always", None, ("runStrategy", "Halted")), (None, True, ("running", False))):
        raw = machine_dict(strategy=strategy)
        if running is not None:
            raw["spec"]["running"] = running
        kept = {"metadata": {}, "spec": {"source": {"virtualMachine": raw}}}
        seen = restores.Observed(
            restore(), machine(), snapshot(READY), msgspec.convert(kept, VirtualMachineSnapshotContent), NOW
        )
        (patch,) = restores.decide(seen).actions
        assert isinstance(patch, PatchObject)
        field, value = expected
        assert patch.patch.body[1]["value"][field] == value


RUNNING = machine(status={"created": True})


def since(minutes: int, **more: Any) -> VirtualMachineRestore:
    raw = msgspec.to_builtins(restore(**more))
    raw["metadata"]["creationTimestamp"] = format_time(NOW - timedelta(minutes=minutes))
    return msgspec.convert(raw, VirtualMachineRestore)


def test_a_machine_has_five_minutes_to_get_off() -> None:
    waiting = bring_back(since(1), RUNNING)
    assert condition(status_of(waiting), "Ready")["reason"] == "Waiting for target to be ready"
    assert waiting.requeue_after == timedelta(minutes=4)
    assert [event.reason for event in waiting.events] == ["RestoreTargetNotReady"]
    told = msgspec.convert({**msgspec.to_builtins(since(1)), "status": status_of(waiting)}, VirtualMachineRestore)
    assert bring_back(told, RUNNING).events == ()
    late = bring_back(since(6), RUNNING)
    assert condition(status_of(late), "Failure")["status"] == "True"
    failed = msgspec.convert({**msgspec.to_builtins(since(6)), "status": status_of(late)}, VirtualMachineRestore)
    assert bring_back(failed, machine()) == Decision()


def test_the_policy_says_what_becomes_of_a_machine_that_runs() -> None:
    patient = bring_back(since(60, targetReadinessPolicy="WaitEventually"), RUNNING)
    assert (patient.requeue_after, patient.actions) == (None, ())
    assert "Failure" not in {item["type"] for item in status_of(patient)["conditions"]}
    strict = bring_back(since(0, targetReadinessPolicy="FailImmediate"), RUNNING)
    assert condition(status_of(strict), "Failure")["reason"] == "VirtualMachine vm is not off"
    (stop,) = bring_back(since(0, targetReadinessPolicy="StopTarget"), RUNNING).actions
    assert isinstance(stop, PatchObject)
    assert stop.patch.body["spec"] == {"runStrategy": "Halted"}
    ending = machine(strategy="Halted", status={"created": True})
    assert bring_back(since(0, targetReadinessPolicy="StopTarget"), ending).actions == ()


def test_what_a_restore_waits_for() -> None:
    for decision, words in (
        (bring_back(restore(), machine(status={"created": True})), "Waiting for target to be ready"),
        (bring_back(restore(), machine(), snapshot({"readyToUse": False})), "VirtualMachineSnapshot sn is not ready"),
        (restores.decide(restores.Observed(restore(), machine(), None, None, NOW)), "sn does not exist"),
        (bring_back(restore(patches=["nonsense"]), machine()), "spec.patches cannot be read"),
    ):
        assert decision.actions == ()
        assert words in condition(status_of(decision), "Progressing")["reason"]
