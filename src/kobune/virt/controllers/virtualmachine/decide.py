"""What to do about a VirtualMachine: make or end its instance, and say how it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.cdi import DataVolume
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.conditions import remove_condition, set_condition
from kobune.virt.controllers.revisions import CONTROLLER_REVISIONS
from kobune.virt.controllers.virtualmachine.datavolumes import disk_state, missing_data_volumes
from kobune.virt.controllers.virtualmachine.hotplug import plug_volumes
from kobune.virt.controllers.virtualmachine.instance import controller_revision, instance, revision_name
from kobune.virt.controllers.virtualmachine.liveupdate import follow, restart_reason
from kobune.virt.controllers.virtualmachine.memorydump import DumpStep, follow_dump
from kobune.virt.controllers.virtualmachine.networks import plug_interfaces
from kobune.virt.controllers.virtualmachine.patience import may_wait_s
from kobune.virt.controllers.virtualmachine.printable import printable_status
from kobune.virt.controllers.virtualmachine.sizing import Sizing
from kobune.virt.controllers.virtualmachine.strategy import (
    Want,
    needs_rerun,
    open_requests,
    seconds_to_wait,
    start_failure,
    want,
)
from kobune.virt.controllers.words import FINAL_PHASES, VM_FINALIZER, VM_GENERATION_ANNOTATION

__all__ = ["Observed", "decide", "status_of", "status_patch"]

_ITS_OWN: Final = ("Ready", "Failure", "RestartRequired")
"""Conditions that a machine has for itself; all others are those of its instance."""

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """One machine and the instance of its name."""

    vm: VirtualMachine
    vmi: VirtualMachineInstance | None
    """The instance that the machine controls."""
    foreign_instance: bool
    """Somebody else's instance holds the name."""
    revision: Mapping[str, Any] | None
    """The ControllerRevision that `vmi` was made from."""
    now: datetime
    sizing: Sizing = field(default_factory=Sizing)
    data_volumes: dict[str, DataVolume] = field(default_factory=dict)
    """Those that the machine's templates and volumes name, by name, whoever made them."""
    claims: dict[str, str] = field(default_factory=dict)
    """The phases of the claims that its volumes name."""
    starts: dict[str, str] = field(default_factory=dict)
    """The uids of the revisions that remember what its instances were made from, by name."""


def decide(seen: Observed) -> Decision[Action]:
    """The next step of a machine."""
    vm = seen.vm
    if vm.metadata.deletion_timestamp is not None:
        return _delete(seen)
    if VM_FINALIZER not in vm.metadata.finalizers:
        return Decision(actions=(_finalizers(vm, [*vm.metadata.finalizers, VM_FINALIZER]),))
    actions: list[Action] = []
    events: list[Event] = []
    failure = start_failure(vm, seen.vmi, seen.now)
    wait_s = seconds_to_wait(failure, seen.now)
    wanted = want(vm, seen.vmi)
    actions += _keep_sizing(seen)
    actions += missing_data_volumes(vm, seen.data_volumes)
    actions += _forget_starts(seen)
    if seen.vmi is not None:
        actions += _release_ended(seen.vmi)
        if wanted is Want.NOTHING:
            # One change of the instance at a time: each replaces lists as it knows them.
            actions += plug_volumes(vm, seen.vmi) or plug_interfaces(vm, seen.vmi) or follow(vm, seen.vmi, seen.sizing)
    dump = follow_dump(vm, seen.vmi, seen.now)
    if not actions or not dump.actions:
        # Changes of the machine and of its instance are made one after the other, too.
        actions += dump.actions
    else:
        dump = DumpStep((), msgspec.to_builtins(vm.status.memory_dump_request))
    if wanted is Want.START and seen.foreign_instance:
        message = f"A VirtualMachineInstance {vm.metadata.name} that this machine does not own exists: delete it"
        events.append(Event(EventType.WARNING, "FailedCreate", message))
    elif wanted is Want.START and seen.sizing.missing:
        if not any(item.type == "Failure" for item in vm.status.conditions):
            events.append(Event(EventType.WARNING, seen.sizing.missing_reason, _missing(seen.sizing)))
    elif wanted is Want.START and wait_s <= 0:
        actions += _start(vm, seen.sizing)
        events.append(
            Event(
                EventType.NORMAL,
                "SuccessfulCreate",
                "Started the virtual machine by creating the new virtual machine instance " + vm.metadata.name,
            )
        )
        # The next pass sees the instance; what could be said now would be true for a moment only.
        return Decision(actions=tuple(actions), events=tuple(events))
    elif wanted is Want.STOP and seen.vmi is not None and _may_stop(seen.vmi, vm, wait_s):
        actions.append(_delete_instance(seen.vmi))
        events.append(_stopped(seen.vmi))
        if seen.vmi.status.phase not in FINAL_PHASES:
            # Stopping, and no longer ready, is one write of the next pass, which sees what this one does.
            return Decision(actions=tuple(actions), events=tuple(events))
    status = status_of(seen, failure)
    _set(status, "memoryDumpRequest", dump.request)
    requeue_after = timedelta(seconds=wait_s) if wait_s > 0 and wanted is not Want.NOTHING else None
    return Decision(
        actions=tuple(actions), status=status_patch(vm, status), events=tuple(events), requeue_after=requeue_after
    )


def _delete(seen: Observed) -> Decision[Action]:
    vm, vmi = seen.vm, seen.vmi
    status = status_of(seen, vm.status.start_failure)
    if "orphan" in vm.metadata.finalizers:
        # The garbage collector is about to take the owner reference off the instance, which then lives on.
        return Decision(status=status_patch(vm, status))
    if vmi is not None:
        actions: list[Action] = []
        events: tuple[Event, ...] = ()
        if vmi.metadata.deletion_timestamp is None:
            actions.append(_delete_instance(vmi))
            events = (_stopped(vmi),)
        actions += _release_ended(vmi)
        return Decision(actions=tuple(actions), status=status_patch(vm, status), events=events)
    if VM_FINALIZER not in vm.metadata.finalizers:
        return Decision()
    return Decision(actions=(_finalizers(vm, [name for name in vm.metadata.finalizers if name != VM_FINALIZER]),))


def _may_stop(vmi: VirtualMachineInstance, vm: VirtualMachine, wait_s: float) -> bool:
    """An instance that failed early is kept for as long as its machine has to wait, so that people can look at it."""
    if vmi.metadata.deletion_timestamp is not None:
        return False
    return wait_s <= 0 or vmi.status.phase not in FINAL_PHASES or vm.spec.strategy == "Halted"


def _missing(sizing: Sizing) -> str:
    return f"{sizing.missing} does not exist; create it or change the machine"


def _keep_sizing(seen: Observed) -> list[Action]:
    """Record the instancetype and the preference, so that later changes to them do not change this machine."""
    return [
        Create(CONTROLLER_REVISIONS, seen.vm.metadata.namespace, part.revision, seen.vm.metadata.uid)
        for part in (seen.sizing.instancetype, seen.sizing.preference)
        if part is not None and part.revision is not None
    ]


def _start(vm: VirtualMachine, sizing: Sizing) -> list[Action]:
    namespace, uid = vm.metadata.namespace, vm.metadata.uid
    return [
        Create(CONTROLLER_REVISIONS, namespace, controller_revision(vm), uid),
        Create(VIRTUAL_MACHINE_INSTANCES, namespace, instance(vm, sizing), uid),
    ]


def _forget_starts(seen: Observed) -> list[Action]:
    """Remove what was remembered of instances that are gone."""
    used = {revision_name(seen.vm)}
    if seen.vmi is not None:
        used.add(seen.vmi.status.virtual_machine_revision_name or "")
    return [
        Delete(CONTROLLER_REVISIONS, Key(seen.vm.metadata.namespace, name), uid)
        for name, uid in sorted(seen.starts.items())
        if name not in used
    ]


def _release_ended(vmi: VirtualMachineInstance) -> list[Action]:
    """Let go of an instance that has ended: its end is in the machine's status by now."""
    if vmi.status.phase not in FINAL_PHASES or vmi.metadata.deletion_timestamp is None:
        return []
    if VM_FINALIZER not in vmi.metadata.finalizers:
        return []
    rest = [name for name in vmi.metadata.finalizers if name != VM_FINALIZER]
    body = {"metadata": {"resourceVersion": vmi.metadata.resource_version, "finalizers": rest or None}}
    return [PatchObject(VIRTUAL_MACHINE_INSTANCES, _key(vmi), Patch.merge(body))]


def status_of(seen: Observed, failure: Any) -> Status:
    """What a machine says of itself and its instance; `failure` is the start failure that counts now."""
    vm, vmi = seen.vm, seen.vmi
    status: Status = msgspec.to_builtins(vm.status)
    _set(status, "created", True if vmi is not None else None)
    _set(status, "startFailure", msgspec.to_builtins(failure) if failure is not None else None)
    wanted = want(vm, vmi)
    status["printableStatus"] = printable_status(
        vm,
        vmi,
        failure,
        disk_state(vm, seen.data_volumes, seen.claims),
        stopping=wanted is Want.STOP,
        starting=wanted is Want.START,
    )
    if vm.spec.strategy != "RerunOnFailure" or wanted is not Want.START:
        # Until it has been started, that strategy is news to the machine.
        status["runStrategy"] = vm.spec.strategy
    requests = [msgspec.to_builtins(request) for request in open_requests(vm, vmi)]
    if needs_rerun(vm, vmi):
        requests = [{"action": "Start"}]
    _set(status, "stateChangeRequests", requests or None)
    if snapshots := _snapshot_statuses(vm):
        status["volumeSnapshotStatuses"] = snapshots
    if vmi is not None:
        generation = vmi.metadata.annotations.get(VM_GENERATION_ANNOTATION, "")
        status["desiredGeneration"] = vm.metadata.generation
        if generation.isdigit():
            status["observedGeneration"] = int(generation)
    for name, part in (("instancetypeRef", seen.sizing.instancetype), ("preferenceRef", seen.sizing.preference)):
        _set(status, name, part.reference() if part is not None else None)
    _conditions(status, seen)
    return status


def _conditions(status: Status, seen: Observed) -> None:
    vmi, now = seen.vmi, seen.now
    ready = next((item for item in vmi.status.conditions if item.type == "Ready"), None) if vmi is not None else None
    if vmi is None:
        set_condition(status, "Ready", "False", now, reason="VMINotExists", message="VMI does not exist")
    elif vmi.metadata.deletion_timestamp is not None:
        set_condition(
            status, "Ready", "False", now, reason="PodTerminating", message="virt-launcher pod is terminating"
        )
    elif ready is None:
        set_condition(
            status,
            "Ready",
            "False",
            now,
            # It was just made and says nothing yet. What it will say first is known, and true already.
            reason="GuestNotRunning",
            message="Guest VM is not reported as running",
        )
    else:
        set_condition(status, "Ready", ready.status, now, reason=ready.reason or "", message=ready.message or "")
    is_ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status["conditions"])
    _set(status, "ready", True if is_ready else None)
    if seen.sizing.missing:
        reason = seen.sizing.missing_reason
        set_condition(status, "Failure", "True", now, reason=reason, message=_missing(seen.sizing))
    else:
        remove_condition(status, "Failure")
    mirrored = [item for item in vmi.status.conditions if item.type not in _ITS_OWN] if vmi is not None else []
    kept = {item.type for item in mirrored}.union(_ITS_OWN)
    for old in seen.vm.status.conditions:
        if old.type not in kept:
            remove_condition(status, old.type)
    for item in mirrored:
        set_condition(status, item.type, item.status, now, reason=item.reason or "", message=item.message or "")
    if reason := restart_reason(seen.revision, seen.vm, vmi):
        set_condition(status, "RestartRequired", "True", now, message=reason)
    elif vmi is None or seen.revision is not None:
        remove_condition(status, "RestartRequired")


def _snapshot_statuses(vm: VirtualMachine) -> list[Status]:
    statuses: list[Status] = []
    spec = vm.spec.template.spec
    for volume in spec.volumes if spec is not None else ():
        if volume.persistent_volume_claim is None and volume.data_volume is None:
            reason = f"Snapshot is not supported for this volumeSource type [{volume.name}]"
        else:
            reason = (
                f"No VolumeSnapshotClass: Volume snapshots are not configured for this StorageClass [{volume.name}]"
            )
        statuses.append({"name": volume.name, "enabled": False, "reason": reason})
    return statuses


def _stopped(vmi: VirtualMachineInstance) -> Event:
    message = f"Stopped the virtual machine by deleting the virtual machine instance {vmi.metadata.uid}"
    return Event(EventType.NORMAL, "SuccessfulDelete", message)


def _delete_instance(vmi: VirtualMachineInstance) -> Delete:
    return Delete(VIRTUAL_MACHINE_INSTANCES, _key(vmi), vmi.metadata.uid)


def _finalizers(vm: VirtualMachine, finalizers: list[str]) -> PatchObject:
    body = {"metadata": {"resourceVersion": vm.metadata.resource_version, "finalizers": finalizers or None}}
    return PatchObject(VIRTUAL_MACHINES, _key(vm), Patch.merge(body))


def status_patch(vm: VirtualMachine, status: Status) -> StatusPatch:
    """The write of a machine's new status."""
    before: Status = msgspec.to_builtins(vm.status)
    # virt-api adds requests to the same status, so a write decided on an old one must fail.
    return StatusPatch(
        VIRTUAL_MACHINES,
        _key(vm),
        status,
        before,
        resource_version=vm.metadata.resource_version,
        may_wait_s=may_wait_s(before, status),
    )


def _set(status: Status, key: str, value: Any) -> None:
    if value is None:
        status.pop(key, None)
    else:
        status[key] = value


def _key(obj: VirtualMachine | VirtualMachineInstance) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)
