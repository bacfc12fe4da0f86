"""The printable status: one word for people about a VirtualMachine."""

from datetime import datetime

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance, VirtualMachineStartFailure
from kobune.virt.controllers.virtualmachine.strategy import run_strategy, seconds_to_wait
from kobune.virt.controllers.words import FINAL_PHASES

__all__ = ["printable_status"]

_IMAGE_ERRORS = ("ErrImagePull", "ImagePullBackOff")
_RESTARTING = ("Always", "RerunOnFailure", "Once")


def printable_status(
    vm: VirtualMachine,
    vmi: VirtualMachineInstance | None,
    failure: VirtualMachineStartFailure | None,
    now: datetime,
    *,
    provisioning: bool = False,
) -> str:
    """The first that fits, in KubeVirt's order and words."""
    if vm.metadata.deletion_timestamp is not None:
        return "Terminating"
    if vmi is not None and vmi.status.phase not in FINAL_PHASES:
        return _alive(vm, vmi, provisioning=provisioning)
    crashed = failure is not None and run_strategy(vm) in _RESTARTING
    if crashed and (vmi is None or vmi.status.phase == "Failed" or seconds_to_wait(failure, now) > 0):
        return "CrashLoopBackOff"
    return "Stopped"


def _alive(vm: VirtualMachine, vmi: VirtualMachineInstance, *, provisioning: bool) -> str:
    if vmi.metadata.deletion_timestamp is not None:
        return "Stopping"
    conditions = {item.type: item for item in vmi.status.conditions}
    migration = vmi.status.migration_state
    if migration is not None and not migration.completed and migration.start_timestamp is not None:
        return "Migrating"
    paused = conditions.get("Paused")
    if paused is not None and paused.status == "True":
        return "Paused"
    if vmi.status.phase == "Running":
        return "Running"
    if provisioning:
        return "Provisioning"
    synchronized = conditions.get("Synchronized")
    reason = synchronized.reason or "" if synchronized is not None and synchronized.status == "False" else ""
    if reason == "FailedPvcNotFound":
        return "ErrorPvcNotFound"
    if reason in _IMAGE_ERRORS:
        return reason
    scheduled = conditions.get("PodScheduled")
    if scheduled is not None and scheduled.status == "False" and scheduled.reason == "Unschedulable":
        return "ErrorUnschedulable"
    if run_strategy(vm) == "WaitAsReceiver":
        return "WaitingForReceiver"
    return "Starting"
