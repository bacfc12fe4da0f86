"""Run strategies: which instance should exist, and how long a failing one waits."""

from datetime import timedelta
from typing import Any

import pytest

from kobune.kube.runtime import Create, Delete
from kobune.virt.controllers.virtualmachine.datavolumes import DiskState
from kobune.virt.controllers.virtualmachine.decide import Observed, decide
from kobune.virt.controllers.virtualmachine.printable import printable_status
from kobune.virt.controllers.virtualmachine.strategy import (
    Want,
    open_requests,
    seconds_to_wait,
    start_failure,
    want,
)
from support.vms import NOW, VMI_UID, instance, machine

STOP = {"action": "Stop", "uid": VMI_UID}
START = {"action": "Start"}


@pytest.mark.parametrize(
    ("strategy", "phase", "requests", "expected"),
    [
        ("Always", None, [], Want.START),
        ("Always", "Running", [], Want.NOTHING),
        ("Always", "Succeeded", [], Want.STOP),
        ("Always", "Failed", [], Want.STOP),
        ("Always", "Running", [STOP, START], Want.STOP),
        ("Halted", None, [], Want.NOTHING),
        ("Halted", "Running", [], Want.STOP),
        ("Halted", None, [START], Want.START),
        ("Manual", None, [], Want.NOTHING),
        ("Manual", None, [START], Want.START),
        ("Manual", "Running", [], Want.NOTHING),
        ("Manual", "Running", [STOP], Want.STOP),
        ("Manual", "Succeeded", [], Want.STOP),
        ("RerunOnFailure", None, [], Want.START),
        ("RerunOnFailure", "Succeeded", [], Want.NOTHING),
        ("RerunOnFailure", "Succeeded", [START], Want.STOP),
        ("RerunOnFailure", "Failed", [], Want.NOTHING),
        ("RerunOnFailure", "Failed", [START], Want.STOP),
        ("RerunOnFailure", "Running", [STOP], Want.STOP),
        ("Once", None, [], Want.START),
        ("Once", "Succeeded", [], Want.NOTHING),
        ("Once", "Failed", [], Want.NOTHING),
        ("WaitAsReceiver", None, [], Want.START),
    ],
)
def test_each_strategy_says_whether_an_instance_should_exist(
    strategy: str, phase: str | None, requests: list[dict[str, Any]], expected: Want
) -> None:
    vm = machine(strategy=strategy, status={"stateChangeRequests": requests})
    assert want(vm, instance(phase=phase) if phase else None) is expected


def test_a_restart_request_is_done_once_another_instance_is_there() -> None:
    vm = machine(status={"stateChangeRequests": [STOP, START]})
    assert [request.action for request in open_requests(vm, instance(phase="Running"))] == ["Stop", "Start"]
    assert [request.action for request in open_requests(vm, None)] == ["Start"]
    assert open_requests(vm, instance(phase="Pending", uid="another")) == []


def test_start_failures_double_the_wait_up_to_five_minutes() -> None:
    waits = []
    status: dict[str, Any] = {}
    for attempt in range(1, 9):
        failed = instance(phase="Failed", uid=f"attempt-{attempt}")
        failure = start_failure(machine(status=status), failed, NOW)
        assert failure is not None
        assert failure.consecutive_fail_count == attempt
        waits.append(seconds_to_wait(failure, NOW))
        status = {
            "startFailure": {
                "consecutiveFailCount": failure.consecutive_fail_count,
                "lastFailedVMIUID": failure.last_failed_vmi_uid,
                "retryAfterTimestamp": failure.retry_after_timestamp,
            }
        }
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


def test_one_failed_instance_counts_once_and_a_guest_that_ran_clears_the_count() -> None:
    status = {"startFailure": {"consecutiveFailCount": 2, "lastFailedVMIUID": VMI_UID}}
    same = start_failure(machine(status=status), instance(phase="Failed"), NOW)
    assert same is not None
    assert same.consecutive_fail_count == 2
    ran = instance(phase="Failed", status={"phaseTransitionTimestamps": [{"phase": "Running"}]})
    assert start_failure(machine(status=status), ran, NOW) is None
    # Somebody deleted it: no failure of the guest.
    deleted = instance(phase="Failed", uid="new", deletionTimestamp="2026-01-01T00:00:00Z")
    after = start_failure(machine(status=status), deleted, NOW)
    assert after is not None
    assert after.consecutive_fail_count == 2


def _condition(kind: str, status: str, reason: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason}]}


_GONE = "2026-01-01T00:00:00Z"
_MOVING = {"migrationState": {"startTimestamp": _GONE}}
_NO_CLAIM = _condition("Synchronized", "False", "FailedPvcNotFound")
_NO_ROOM = _condition("PodScheduled", "False", "Unschedulable")


@pytest.mark.parametrize(
    ("vmi", "disks", "expected"),
    [
        (None, DiskState(), "Stopped"),
        (None, DiskState(provisioning=True), "Provisioning"),
        (None, DiskState(failed=True), "DataVolumeError"),
        (None, DiskState(unbound=True), "Stopped"),
        ({"phase": "Succeeded"}, DiskState(), "Stopped"),
        ({"phase": ""}, DiskState(), "Starting"),
        ({"phase": "Scheduling"}, DiskState(), "Starting"),
        ({"phase": "Scheduled"}, DiskState(), "Starting"),
        ({"phase": "Running"}, DiskState(failed=True), "Running"),
        ({"phase": "Running", "deletionTimestamp": _GONE}, DiskState(), "Stopping"),
        ({"phase": "Running", "status": _condition("Paused", "True")}, DiskState(), "Paused"),
        ({"phase": "Running", "status": _MOVING}, DiskState(), "Migrating"),
        ({"phase": "Pending", "status": _NO_CLAIM}, DiskState(failed=True), "ErrorPvcNotFound"),
        ({"phase": "Pending"}, DiskState(failed=True, provisioning=True), "DataVolumeError"),
        ({"phase": "Scheduling", "status": _NO_ROOM}, DiskState(provisioning=True), "ErrorUnschedulable"),
        ({"phase": "Pending"}, DiskState(provisioning=True, unbound=True), "Provisioning"),
        ({"phase": "Pending"}, DiskState(unbound=True), "WaitingForVolumeBinding"),
        (
            {"phase": "Scheduling", "status": _condition("Synchronized", "False", "ErrImagePull")},
            DiskState(),
            "ErrImagePull",
        ),
        (
            {"phase": "Scheduling", "status": _condition("Synchronized", "False", "ImagePullBackOff")},
            DiskState(),
            "ImagePullBackOff",
        ),
        ({"phase": "Unknown"}, DiskState(), "Unknown"),
    ],
)
def test_people_read_one_word(vmi: dict[str, Any] | None, disks: DiskState, expected: str) -> None:
    assert printable_status(machine(), instance(**vmi) if vmi else None, None, disks) == expected


def test_what_is_about_to_happen_counts_as_well() -> None:
    unbound = DiskState(unbound=True)
    assert printable_status(machine(), None, None, unbound, starting=True) == "WaitingForVolumeBinding"
    assert printable_status(machine(), instance(phase="Running"), None, stopping=True) == "Stopping"
    receiver = machine(strategy="WaitAsReceiver")
    assert printable_status(receiver, instance(phase="Pending"), None) == "WaitingForReceiver"


def test_a_machine_that_waits_after_a_failed_start_says_so() -> None:
    failed = instance(phase="Failed")
    failure = start_failure(machine(), failed, NOW)
    assert printable_status(machine(), failed, failure) == "CrashLoopBackOff"
    assert printable_status(machine(strategy="Halted"), None, failure) == "Stopped"
    assert seconds_to_wait(failure, NOW + timedelta(seconds=11)) == 0
    assert seconds_to_wait(failure, NOW - timedelta(days=1)) == 300, "a clock that was set back"


def test_a_machine_being_deleted_is_terminating_whatever_else() -> None:
    vm = machine(deletionTimestamp="2026-01-01T00:00:00Z")
    assert printable_status(vm, instance(phase="Running"), None) == "Terminating"


@pytest.mark.parametrize(
    ("known", "requests", "expected"),
    [
        (None, [], Want.START),
        ("Halted", [], Want.START),
        ("RerunOnFailure", [], Want.NOTHING),
        ("RerunOnFailure", [START], Want.START),
    ],
)
def test_a_machine_that_reruns_on_failure_stays_down_when_it_was_stopped(
    known: str | None, requests: list[dict[str, Any]], expected: Want
) -> None:
    vm = machine(strategy="RerunOnFailure", status={"runStrategy": known, "stateChangeRequests": requests})
    assert want(vm, None) is expected


def test_a_failed_instance_is_ended_once_its_successor_was_asked_for() -> None:
    vm = machine(strategy="RerunOnFailure", status={"runStrategy": "RerunOnFailure"})
    ran = [{"phase": "Running", "phaseTransitionTimestamp": "2026-01-01T00:00:00Z"}]
    failed = instance(phase="Failed", status={"phaseTransitionTimestamps": ran})
    first = decide(Observed(vm, failed, False, None, NOW))
    assert [action for action in first.actions if isinstance(action, Delete)] == []
    assert first.status is not None
    assert first.status.status["stateChangeRequests"] == [{"action": "Start"}]
    asked = machine(strategy="RerunOnFailure", status=first.status.status)
    ended = decide(Observed(asked, failed, False, None, NOW))
    assert [action.key.name for action in ended.actions if isinstance(action, Delete)] == ["vm"]
    gone = decide(Observed(asked, None, False, None, NOW))
    assert any(isinstance(action, Create) for action in gone.actions)


def test_until_it_was_started_the_strategy_is_news() -> None:
    vm = machine(strategy="RerunOnFailure", status={"runStrategy": "Halted"})
    waiting = decide(Observed(vm, None, True, None, NOW))
    assert waiting.status is not None
    assert waiting.status.status["runStrategy"] == "Halted"
