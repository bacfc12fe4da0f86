"""Run strategies: whether an instance should exist now.

Owns: the meaning of runStrategy, `running`, and the requests for starting and stopping that virt-api leaves in the
status. Must not: know how an instance is made.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from kobune.api.kubevirt import (
    VirtualMachine,
    VirtualMachineInstance,
    VirtualMachineStartFailure,
    VirtualMachineStateChangeRequest,
)
from kobune.base.clock import format_time, parse_time
from kobune.virt.controllers.words import FINAL_PHASES

__all__ = ["Want", "needs_rerun", "open_requests", "start_failure", "want"]

FIRST_DELAY_S: Final = 10
LAST_DELAY_S: Final = 300


class Want(StrEnum):
    """What the strategy asks for."""

    START = "start"
    STOP = "stop"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class _Instance:
    """The facts about the instance that strategies look at."""

    exists: bool
    phase: str
    stop_requested: bool

    @property
    def is_final(self) -> bool:
        return self.phase in FINAL_PHASES


def open_requests(vm: VirtualMachine, vmi: VirtualMachineInstance | None) -> list[VirtualMachineStateChangeRequest]:
    """The requests that are still to be carried out, in order."""
    requests = list(vm.status.state_change_requests)
    while requests:
        first = requests[0]
        if first.action == "Stop":
            done = vmi is None or (bool(first.uid) and vmi.metadata.uid != first.uid)
        else:
            done = vmi is not None and vmi.status.phase not in FINAL_PHASES
        if not done:
            break
        requests.pop(0)
    return requests


def want(vm: VirtualMachine, vmi: VirtualMachineInstance | None) -> Want:
    """Whether to start or stop now; back-off after failures is not this function's business."""
    requests = open_requests(vm, vmi)
    first = requests[0].action if requests else ""
    instance = _Instance(vmi is not None, (vmi.status.phase or "") if vmi is not None else "", first == "Stop")
    strategy = vm.spec.strategy
    if strategy in ("Always", "WaitAsReceiver"):
        return _always(instance)
    if strategy == "RerunOnFailure":
        return _rerun_on_failure(instance, start_requested=first == "Start", is_new=vm.status.run_strategy != strategy)
    if strategy == "Once":
        return Want.NOTHING if instance.exists else Want.START
    if strategy == "Manual":
        return _manual(instance, start_requested=first == "Start")
    # Halted: a start that must not change the strategy (paused, for instance) comes as a request.
    if first == "Start" and not instance.exists:
        return Want.START
    return Want.STOP if instance.exists else Want.NOTHING


def _always(instance: _Instance) -> Want:
    if not instance.exists:
        return Want.START
    return Want.STOP if instance.is_final or instance.stop_requested else Want.NOTHING


def needs_rerun(vm: VirtualMachine, vmi: VirtualMachineInstance | None) -> bool:
    """Whether a start has to be asked for before the instance that failed is ended: without one, the machine would
    stay down, as it does when somebody stopped it."""
    if vm.spec.strategy != "RerunOnFailure" or vmi is None or vmi.metadata.deletion_timestamp is not None:
        return False
    return vmi.status.phase == "Failed" and not open_requests(vm, vmi)


def _rerun_on_failure(instance: _Instance, *, start_requested: bool, is_new: bool) -> Want:
    """`is_new`: the machine had another strategy when it was looked at last."""
    if not instance.exists:
        # What was stopped or deleted, or has shut itself down, stays down until somebody asks.
        return Want.START if start_requested or is_new else Want.NOTHING
    if instance.stop_requested:
        return Want.STOP
    return Want.STOP if instance.is_final and start_requested else Want.NOTHING


def _manual(instance: _Instance, *, start_requested: bool) -> Want:
    if not instance.exists:
        return Want.START if start_requested else Want.NOTHING
    return Want.STOP if instance.is_final or instance.stop_requested else Want.NOTHING


def start_failure(
    vm: VirtualMachine, vmi: VirtualMachineInstance | None, now: datetime
) -> VirtualMachineStartFailure | None:
    """The back-off after starts that failed before the guest ever ran; None when there is nothing to wait for."""
    old = vm.status.start_failure
    if vmi is None:
        return old
    if _ran(vmi):
        return None
    if vmi.status.phase != "Failed" or vmi.metadata.deletion_timestamp is not None:
        return old
    if old is not None and old.last_failed_vmi_uid == vmi.metadata.uid:
        return old
    count = (old.consecutive_fail_count or 0) + 1 if old is not None else 1
    delay_s = min(FIRST_DELAY_S * 2 ** min(count - 1, 10), LAST_DELAY_S)
    return VirtualMachineStartFailure(
        consecutive_fail_count=count,
        last_failed_vmi_uid=vmi.metadata.uid,
        retry_after_timestamp=format_time(now + timedelta(seconds=delay_s)),
    )


def seconds_to_wait(failure: VirtualMachineStartFailure | None, now: datetime) -> float:
    """How long a start has still to wait; never longer than the longest delay, whatever became of the clock."""
    if failure is None or failure.retry_after_timestamp is None:
        return 0.0
    left_s = (parse_time(failure.retry_after_timestamp) - now).total_seconds()
    return min(max(left_s, 0.0), float(LAST_DELAY_S))


def _ran(vmi: VirtualMachineInstance) -> bool:
    return any(entry.phase == "Running" for entry in vmi.status.phase_transition_timestamps)
