"""Run strategies: which instance should exist, and how long a failing one waits."""

from datetime import timedelta
from typing import Any

import pytest

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
        ("RerunOnFailure", "Failed", [], Want.STOP),
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


@pytest.mark.parametrize(
    ("vmi", "expected"),
    [
        (None, "Stopped"),
        ({"phase": "Scheduling"}, "Starting"),
        ({"phase": "Running"}, "Running"),
        ({"phase": "Running", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "Stopping"),
        ({"phase": "Succeeded"}, "Stopped"),
        ({"phase": "Running", "status": {"conditions": [{"type": "Paused", "status": "True"}]}}, "Paused"),
        (
            {
                "phase": "Scheduling",
                "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
            },
            "ErrorUnschedulable",
        ),
        (
            {
                "phase": "Scheduling",
                "status": {"conditions": [{"type": "Synchronized", "status": "False", "reason": "ErrImagePull"}]},
            },
            "ErrImagePull",
        ),
    ],
)
def test_people_read_one_word(vmi: dict[str, Any] | None, expected: str) -> None:
    assert printable_status(machine(), instance(**vmi) if vmi else None, None, NOW) == expected


def test_a_machine_that_waits_after_a_failed_start_says_so() -> None:
    failed = instance(phase="Failed")
    failure = start_failure(machine(), failed, NOW)
    assert printable_status(machine(), failed, failure, NOW) == "CrashLoopBackOff"
    assert printable_status(machine(strategy="Halted"), None, failure, NOW) == "Stopped"
    assert seconds_to_wait(failure, NOW + timedelta(seconds=11)) == 0


def test_a_machine_being_deleted_is_terminating_whatever_else() -> None:
    vm = machine(deletionTimestamp="2026-01-01T00:00:00Z")
    assert printable_status(vm, instance(phase="Running"), None, NOW) == "Terminating"
