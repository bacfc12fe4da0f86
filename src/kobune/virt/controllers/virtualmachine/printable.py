"""The printable status: one word for people about a VirtualMachine."""

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance, VirtualMachineStartFailure
from kobune.virt.controllers.virtualmachine.datavolumes import DiskState
from kobune.virt.controllers.words import FINAL_PHASES

__all__ = ["printable_status"]

_IMAGE_ERRORS = ("ErrImagePull", "ImagePullBackOff")
_RESTARTING = ("Always", "RerunOnFailure", "Once")
_BEFORE_RUNNING = ("", "Pending", "Scheduling", "Scheduled")


def printable_status(
    vm: VirtualMachine,
    vmi: VirtualMachineInstance | None,
    failure: VirtualMachineStartFailure | None,
    disks: DiskState | None = None,
    *,
    stopping: bool = False,
    starting: bool = False,
) -> str:
    """The first that fits, in KubeVirt's order and words; `stopping` and `starting` are what is about to be done."""
    disks = disks or DiskState()
    if vm.metadata.deletion_timestamp is not None:
        return "Terminating"
    if vmi is not None and vmi.status.phase not in FINAL_PHASES:
        return _alive(vm, vmi, disks, stopping=stopping)
    if disks.failed:
        return "DataVolumeError"
    if disks.provisioning:
        return "Provisioning"
    if disks.unbound and starting:
        return "WaitingForVolumeBinding"
    if failure is not None and vm.spec.strategy in _RESTARTING:
        return "CrashLoopBackOff"
    return "Stopped"


def _alive(vm: VirtualMachine, vmi: VirtualMachineInstance, disks: DiskState, *, stopping: bool) -> str:
    if vmi.metadata.deletion_timestamp is not None or stopping:
        return "Stopping"
    migration = vmi.status.migration_state
    if migration is not None and not migration.completed and migration.start_timestamp is not None:
        return "Migrating"
    if vmi.status.phase == "Running":
        return "Paused" if _reason(vmi, "Paused", "True") is not None else "Running"
    return _not_yet_running(vm, vmi, disks)


def _not_yet_running(vm: VirtualMachine, vmi: VirtualMachineInstance, disks: DiskState) -> str:
    synchronized = _reason(vmi, "Synchronized", "False")
    rules = (
        (synchronized == "FailedPvcNotFound", "ErrorPvcNotFound"),
        (disks.failed, "DataVolumeError"),
        (_reason(vmi, "PodScheduled", "False") == "Unschedulable", "ErrorUnschedulable"),
        (disks.provisioning, "Provisioning"),
        (disks.unbound, "WaitingForVolumeBinding"),
        (synchronized in _IMAGE_ERRORS, synchronized or ""),
        (vm.spec.strategy == "WaitAsReceiver", "WaitingForReceiver"),
        ((vmi.status.phase or "") in _BEFORE_RUNNING, "Starting"),
    )
    return next((word for applies, word in rules if applies), "Unknown")


def _reason(vmi: VirtualMachineInstance, kind: str, status: str) -> str | None:
    """Why the condition has that status; None when it has another or is not there."""
    found = (item.reason or "" for item in vmi.status.conditions if item.type == kind and item.status == status)
    return next(found, None)
