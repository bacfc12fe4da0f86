"""start, stop, restart: pure plans from what a machine is to the patches that change it.

Source: KubeVirt's rules which run strategy takes which request.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import (
    RestartOptions,
    StartOptions,
    StopOptions,
    VirtualMachine,
    VirtualMachineInstance,
    VirtualMachineStatus,
)
from kobune.kube.client.types import Patch
from kobune.virt.admission.subresources.failure import Failure, bad_request, conflict

__all__ = ["PowerPlan", "decode_options", "plan_restart", "plan_start", "plan_stop", "status_patch"]

Document = dict[str, Any]
_FINAL_PHASES: Final = ("Succeeded", "Failed")
_KIND: Final = "virtualmachine"


@dataclass(frozen=True, slots=True)
class PowerPlan:
    """What to write, None where nothing is; carried out in the order of the fields."""

    grace_period_s: int | None = None
    """A shorter time to shut down for the instance that is to end."""
    status: Document | None = None
    """The requests that replace those which the machine has; see `status_patch`."""
    spec: Document | None = None
    """A merge patch of the specification."""


def status_patch(vm: VirtualMachine, status: Document) -> Patch:
    """A patch of the status subresource that fits while the requests are those of `vm`, whatever else was written.

    The API server refuses it with Invalid (or Conflict, for a machine that had no status) when they are not: a request
    that came between must not be lost.
    """
    if vm.status == VirtualMachineStatus():
        # There is no document yet in which a path could be tested.
        return Patch.merge({"metadata": {"resourceVersion": vm.metadata.resource_version}, "status": status})
    path = "/status/stateChangeRequests"
    present = msgspec.to_builtins(vm.status.state_change_requests) or None
    return Patch.json(
        {"op": "test", "path": path, "value": present},
        {"op": "add", "path": path, "value": status["stateChangeRequests"]},
    )


def _is_alive(vmi: VirtualMachineInstance | None) -> bool:
    return vmi is not None and vmi.status.phase not in _FINAL_PHASES


def plan_start(vm: VirtualMachine, vmi: VirtualMachineInstance | None, options: StartOptions) -> PowerPlan:
    """Raises Failure when the machine runs already or its strategy takes no requests."""
    name, strategy = vm.metadata.name, vm.spec.strategy
    # An instance that was made this moment has no phase yet: that it was asked for again does no harm.
    if vmi is not None and vmi.status.phase not in (*_FINAL_PHASES, None, "", "Unknown"):
        raise conflict(_KIND, name, "VM is already running")
    request: Document = {"action": "Start"}
    if options.paused:
        request["data"] = {"paused": "true"}
    if strategy == "Halted":
        # The request carries how to start; the strategy, that.
        status = _requests(request) if options.paused else None
        return PowerPlan(status=status, spec=_running(vm, run=True))
    if strategy in ("Manual", "RerunOnFailure"):
        ended = vmi.status.phase if vmi is not None else None
        if strategy == "RerunOnFailure" and ended == "Failed":
            raise conflict(_KIND, name, f"{strategy} does not support starting VM from failed state")
        _refuse_when_busy(vm)
        if vmi is not None and ended in _FINAL_PHASES:
            # What ended goes first.
            return PowerPlan(status=_requests({"action": "Stop", "uid": vmi.metadata.uid}, request))
        return PowerPlan(status=_requests(request))
    raise conflict(_KIND, name, f"{strategy} does not support manual start requests")


def plan_stop(vm: VirtualMachine, vmi: VirtualMachineInstance | None, options: StopOptions) -> PowerPlan:
    """Raises Failure when nothing runs."""
    name, strategy = vm.metadata.name, vm.spec.strategy
    grace = _grace(options.grace_period)
    if strategy in ("Halted", "Manual", "RerunOnFailure"):
        if vmi is None or not _is_alive(vmi):
            raise conflict(_KIND, name, "VM is not running")
        present = vmi.spec.termination_grace_period_seconds
        if strategy == "Halted" and (grace is None or (present is not None and grace >= present)):
            # It is ending already; it can only be asked to hurry.
            raise conflict(_KIND, name, f"{strategy} only supports manual stop requests with a shorter graceperiod")
        # A request leaves the strategy as it is.
        return PowerPlan(grace, status=_requests({"action": "Stop", "uid": vmi.metadata.uid}))
    return PowerPlan(grace if vmi is not None else None, spec=_running(vm, run=False))


def plan_restart(vm: VirtualMachine, vmi: VirtualMachineInstance | None, options: RestartOptions) -> PowerPlan:
    """Raises Failure when nothing runs or the strategy does not allow it."""
    name, strategy = vm.metadata.name, vm.spec.strategy
    if strategy in ("Halted", "Once"):
        raise conflict(_KIND, name, f"RunStrategy {strategy} does not support manual restart requests")
    if vmi is None or not _is_alive(vmi):
        raise conflict(_KIND, name, "VM is not running")
    if options.grace_period_seconds not in (None, 0):
        raise bad_request("For force restart, only gracePeriodSeconds=0 is supported for now")
    _refuse_when_busy(vm)
    status = _requests({"action": "Stop", "uid": vmi.metadata.uid}, {"action": "Start"})
    return PowerPlan(_grace(options.grace_period_seconds), status=status)


def _refuse_when_busy(vm: VirtualMachine) -> None:
    if vm.status.state_change_requests:
        raise conflict(_KIND, vm.metadata.name, "unable to complete request: stop/start already underway")


def _requests(*requests: Document) -> Document:
    return {"stateChangeRequests": list(requests)}


def _running(vm: VirtualMachine, *, run: bool) -> Document:
    if vm.spec.running is not None:
        return {"running": run}
    return {"runStrategy": "Always" if run else "Halted"}


def _grace(seconds: int | None) -> int | None:
    if seconds is not None and seconds < 0:
        raise bad_request("gracePeriod has to be greater than or equal to 0")
    return seconds


def decode_options(body: bytes, kind: type[Any]) -> Any:
    """The options in a request's body; an empty body means none.

    Raises Failure for anything that is no such object.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise Failure(400, "BadRequest", f"Can not unmarshal Request body to struct, error: {error}") from error
