"""What to do about a restore: give the machine the specification that a snapshot keeps, once it is off.

How it gets off is the restore's targetReadinessPolicy. It stays off afterwards: a snapshot of a machine that ran is no
wish to run it. Source: KubeVirt's published behaviour.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import VirtualMachine, VirtualMachineSpec
from kobune.api.snapshot import VirtualMachineRestore, VirtualMachineSnapshot, VirtualMachineSnapshotContent
from kobune.api.snapshot.types import VirtualMachine as KeptMachine
from kobune.base.clock import format_time, parse_time
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import VIRTUAL_MACHINE_RESTORES
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.conditions import set_condition

__all__ = ["Observed", "decide"]

LAST_RESTORE: Final = "restore.kubevirt.io/lastRestoreUID"
GRACE: Final = timedelta(minutes=5)
"""How long a machine may take to get off, unless the restore says something else."""
NOT_READY: Final = "Waiting for target to be ready"

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """A restore, the machine it is for, and the snapshot with what it consists of, as far as they are there."""

    restore: VirtualMachineRestore
    vm: VirtualMachine | None
    snapshot: VirtualMachineSnapshot | None
    content: VirtualMachineSnapshotContent | None
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """The next step of a restore."""
    restore = seen.restore
    failed = any(item.type == "Failure" and item.status == "True" for item in restore.status.conditions)
    if restore.metadata.deletion_timestamp is not None or restore.status.complete or failed:
        return Decision()
    status: Status = msgspec.to_builtins(restore.status)
    status["complete"] = False
    if seen.vm is not None and seen.vm.metadata.annotations.get(LAST_RESTORE) == restore.metadata.uid:
        return _complete(seen, status)
    source = seen.content.spec.source.virtual_machine if seen.content is not None else None
    if seen.snapshot is None:
        return _wait(
            seen, status, f"VirtualMachineSnapshot {restore.spec.virtual_machine_snapshot_name} does not exist"
        )
    if not seen.snapshot.status.ready_to_use or source is None:
        return _wait(seen, status, f"VirtualMachineSnapshot {seen.snapshot.metadata.name} is not ready")
    if seen.vm is not None and (seen.vm.status.created or seen.vm.metadata.deletion_timestamp is not None):
        return _get_off(seen, seen.vm, status)
    _progress(status, seen.now, "True", "Updating target spec")
    try:
        patches = [operation for text in restore.spec.patches for operation in _operations(text)]
    except ValueError as error:
        return _wait(seen, status, f"spec.patches cannot be read: {error}")
    return Decision(actions=tuple(_bring_back(seen, source, patches)), status=_status_patch(restore, status))


def _get_off(seen: Observed, vm: VirtualMachine, status: Status) -> Decision[Action]:
    """What to do while the machine runs or ends."""
    policy = seen.restore.spec.target_readiness_policy or "WaitGracePeriod"
    if policy == "FailImmediate":
        return _fail(seen, status, f"VirtualMachine {vm.metadata.name} is not off")
    left: timedelta | None = None
    if policy == "WaitGracePeriod":
        left = parse_time(seen.restore.metadata.creation_timestamp or format_time(seen.now)) + GRACE - seen.now
        if left <= timedelta():
            return _fail(seen, status, f"VirtualMachine {vm.metadata.name} did not get off within {GRACE}")
    told = any(item.reason == NOT_READY for item in seen.restore.status.conditions)
    set_condition(status, "Progressing", "False", seen.now, reason=NOT_READY)
    set_condition(status, "Ready", "False", seen.now, reason=NOT_READY)
    message = f"{NOT_READY}: VirtualMachine {vm.metadata.name} is not off"
    events = () if told else (Event(EventType.NORMAL, "RestoreTargetNotReady", message),)
    actions: tuple[Action, ...] = ()
    if policy == "StopTarget" and vm.metadata.deletion_timestamp is None and _halted(vm.spec) != _run(vm.spec):
        body = {"metadata": {"resourceVersion": vm.metadata.resource_version}, "spec": _halted(vm.spec)}
        key = Key(vm.metadata.namespace, vm.metadata.name)
        actions = (PatchObject(VIRTUAL_MACHINES, key, Patch.merge(body)),)
    return Decision(actions=actions, status=_status_patch(seen.restore, status), events=events, requeue_after=left)


def _run(spec: VirtualMachineSpec) -> Status:
    return {"running": spec.running} if spec.running is not None else {"runStrategy": spec.run_strategy}


def _halted(spec: VirtualMachineSpec) -> Status:
    """How such a machine says that it is off."""
    return {"running": False} if spec.running is not None else {"runStrategy": "Halted"}


def _operations(text: str) -> list[Status]:
    found = json.loads(text)
    operations = found if isinstance(found, list) else [found]
    if not all(isinstance(item, dict) for item in operations):
        raise ValueError(f"{text!r} is no JSON patch")
    return operations


def _bring_back(seen: Observed, source: KeptMachine, patches: list[Status]) -> list[Action]:
    namespace, name = seen.restore.metadata.namespace, seen.restore.spec.target.name
    spec: Status = msgspec.to_builtins(source.spec) or {}
    if source.spec is not None:
        spec |= _halted(source.spec)
    marked = {LAST_RESTORE: seen.restore.metadata.uid}
    if seen.vm is None:
        metadata: Status = {"name": name, "annotations": {**source.metadata.annotations, **marked}}
        if source.metadata.labels:
            metadata["labels"] = dict(source.metadata.labels)
        actions: list[Action] = [Create(VIRTUAL_MACHINES, namespace, {"metadata": metadata, "spec": spec}, None)]
        if patches:
            actions.append(PatchObject(VIRTUAL_MACHINES, Key(namespace, name), Patch.json(*patches)))
        return actions
    operations: list[Status] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": seen.vm.metadata.resource_version},
        {"op": "replace", "path": "/spec", "value": spec},
        {"op": "add", "path": "/metadata/annotations", "value": {**seen.vm.metadata.annotations, **marked}},
    ]
    return [PatchObject(VIRTUAL_MACHINES, Key(namespace, name), Patch.json(*operations, *patches))]


def _complete(seen: Observed, status: Status) -> Decision[Action]:
    status |= {"complete": True, "restoreTime": format_time(seen.now)}
    _progress(status, seen.now, "False", "Operation complete")
    set_condition(status, "Ready", "True", seen.now, reason="Operation complete")
    message = f"Brought VirtualMachine {seen.restore.spec.target.name} back"
    event = Event(EventType.NORMAL, "VirtualMachineRestoreComplete", message)
    return Decision(status=_status_patch(seen.restore, status), events=(event,))


def _fail(seen: Observed, status: Status, reason: str) -> Decision[Action]:
    _progress(status, seen.now, "False", reason)
    set_condition(status, "Failure", "True", seen.now, reason=reason)
    event = Event(EventType.WARNING, "VirtualMachineRestoreError", reason)
    return Decision(status=_status_patch(seen.restore, status), events=(event,))


def _wait(seen: Observed, status: Status, reason: str) -> Decision[Action]:
    _progress(status, seen.now, "False", reason)
    return Decision(status=_status_patch(seen.restore, status))


def _progress(status: Status, now: datetime, going: str, reason: str) -> None:
    set_condition(status, "Progressing", going, now, reason=reason)
    set_condition(status, "Ready", "False", now, reason="Not ready")


def _status_patch(restore: VirtualMachineRestore, status: Status) -> StatusPatch:
    key = Key(restore.metadata.namespace, restore.metadata.name)
    return StatusPatch(VIRTUAL_MACHINE_RESTORES, key, status, msgspec.to_builtins(restore.status))
