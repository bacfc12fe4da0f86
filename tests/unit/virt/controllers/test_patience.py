"""Which changes of a status are written at once, and which wait for more to come."""

from typing import Any

import pytest

from kobune.virt.controllers.virtualmachine.patience import may_wait_s as machine_may_wait_s
from kobune.virt.controllers.virtualmachineinstance.patience import may_wait_s as instance_may_wait_s


def status(printable: str, *, ready: str = "False", reason: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "printableStatus": printable,
        "conditions": [{"type": "Ready", "status": ready, "reason": reason}],
        **fields,
    }


MACHINES = [
    ("a new machine that stands still", {}, status("Stopped"), True),
    ("a new machine that starts", {}, status("Starting", created=True), False),
    ("a machine starts", status("Stopped"), status("Starting", created=True), True),
    ("only the reason changes", status("Starting"), status("Starting", reason="GuestNotRunning"), True),
    ("the guest runs", status("Starting"), status("Running"), False),
    ("it is ready", status("Running"), status("Running", ready="True"), False),
    ("it is not ready any more", status("Running", ready="True"), status("Running"), False),
    ("it stops", status("Running", ready="True"), status("Stopping"), False),
    ("the guest is off", status("Stopping", created=True), status("Stopped", created=True), True),
    ("the instance is gone", status("Stopping", created=True), status("Stopped"), False),
    ("a guest powered itself off", status("Running", created=True), status("Stopped", created=True), False),
    ("it can't be placed", status("Starting"), status("ErrorUnschedulable"), False),
    ("it crashes", status("Running"), status("CrashLoopBackOff"), False),
    ("a failure is counted", status("Starting"), status("Starting", startFailure={"consecutiveFailCount": 1}), False),
    ("it is paused", status("Running"), status("Paused"), False),
]


@pytest.mark.parametrize(("before", "after", "waits"), [row[1:] for row in MACHINES], ids=[row[0] for row in MACHINES])
def test_a_machine(before: dict[str, Any], after: dict[str, Any], waits: bool) -> None:
    seconds = machine_may_wait_s(before, after)
    assert (seconds > 0) is waits
    assert seconds <= 1


def phase(name: str, **conditions: str) -> dict[str, Any]:
    return {"phase": name, "conditions": [{"type": kind, "status": value} for kind, value in conditions.items()]}


INSTANCES = [
    ("its pod was made", phase("Pending"), phase("Scheduling", Ready="False"), True),
    ("its pod has a node", phase("Scheduling"), {**phase("Scheduling"), "activePods": {"u": "n"}}, True),
    ("no node takes its pod", phase("Pending"), phase("Scheduling", PodScheduled="False"), False),
    ("its image can't be had", phase("Scheduling"), phase("Scheduling", Synchronized="False"), False),
    ("it is handed over", phase("Scheduling"), phase("Scheduled"), False),
    ("it is ready", phase("Running", Ready="False"), phase("Running", Ready="True"), False),
    ("it is not ready any more", phase("Running", Ready="True"), phase("Running", Ready="False"), False),
    ("it failed", phase("Scheduling"), phase("Failed"), False),
]


@pytest.mark.parametrize(
    ("before", "after", "waits"), [row[1:] for row in INSTANCES], ids=[row[0] for row in INSTANCES]
)
def test_an_instance(before: dict[str, Any], after: dict[str, Any], waits: bool) -> None:
    seconds = instance_may_wait_s(before, after)
    assert (seconds > 0) is waits
    assert seconds <= 1
