"""What to do about a snapshot: keep the machine's specification in a content, and say when it is ready.

Disks in claims cannot be kept yet, so a machine that has any is refused: bringing it back without them would be worse
than none. Source of phases and conditions: KubeVirt's published behaviour.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import VirtualMachine
from kobune.api.snapshot import VirtualMachineSnapshot, VirtualMachineSnapshotContent
from kobune.base.clock import format_time, parse_time
from kobune.base.duration import parse_duration
from kobune.kube.client.kubevirt_groups import VIRTUAL_MACHINE_SNAPSHOT_CONTENTS, VIRTUAL_MACHINE_SNAPSHOTS
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.conditions import set_condition
from kobune.virt.controllers.virtualmachine.datavolumes import volume_names

__all__ = ["Observed", "content_name", "decide"]

FINALIZER: Final = "snapshot.kubevirt.io/vmsnapshot-protection"
CONTENT_FINALIZER: Final = "snapshot.kubevirt.io/vmsnapshotcontent-protection"
DEADLINE: Final = timedelta(minutes=5)

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """A snapshot, its machine and its content, as far as they are there."""

    snapshot: VirtualMachineSnapshot
    vm: VirtualMachine | None
    content: VirtualMachineSnapshotContent | None
    now: datetime


def content_name(snapshot: VirtualMachineSnapshot) -> str:
    """The name of what the snapshot consists of."""
    return f"vmsnapshot-content-{snapshot.metadata.uid}"


def decide(seen: Observed) -> Decision[Action]:
    """The next step of a snapshot."""
    snapshot, content = seen.snapshot, seen.content
    if snapshot.metadata.deletion_timestamp is not None:
        return Decision(actions=tuple(_release(snapshot, content)))
    if snapshot.status.phase in ("Succeeded", "Failed"):
        return Decision()
    if FINALIZER not in snapshot.metadata.finalizers:
        return Decision(actions=(_finalizers(snapshot, [*snapshot.metadata.finalizers, FINALIZER]),))
    status: Status = msgspec.to_builtins(snapshot.status)
    status |= {"phase": "InProgress", "readyToUse": False}
    if content is not None:
        return _finish(seen, content, status)
    left = _time_left(seen)
    if left is not None and left <= timedelta():
        return _fail(seen, status, "snapshot deadline exceeded")
    if seen.vm is None:
        _progress(status, seen.now, "Source does not exist", ready=False)
        return Decision(status=_status_patch(snapshot, status), requeue_after=left)
    if claims := sorted(volume_names(seen.vm)):
        names = ", ".join(claims)
        return _fail(seen, status, f"disks in claims cannot be kept in a snapshot yet: {names}; nothing was done")
    _progress(status, seen.now, "Operation in progress", ready=False)
    return Decision(actions=(_make_content(snapshot, seen.vm),), status=_status_patch(snapshot, status))


def _finish(seen: Observed, content: VirtualMachineSnapshotContent, status: Status) -> Decision[Action]:
    key = Key(content.metadata.namespace, content.metadata.name)
    if not content.status.ready_to_use:
        ready = {"status": {"readyToUse": True, "creationTime": format_time(seen.now)}}
        patch = PatchObject(VIRTUAL_MACHINE_SNAPSHOT_CONTENTS, key, Patch.merge(ready), "status")
        return Decision(actions=(patch,), status=_status_patch(seen.snapshot, status))
    source = content.spec.source.virtual_machine
    status |= {
        "phase": "Succeeded",
        "readyToUse": True,
        "creationTime": content.status.creation_time,
        "virtualMachineSnapshotContentName": key.name,
    }
    if source is not None:
        status["sourceUID"] = source.metadata.uid
    if source is not None and source.status.created:
        status["indications"] = ["Online", "NoGuestAgent"]
    _progress(status, seen.now, "Operation complete", ready=True)
    event = Event(EventType.NORMAL, "SuccessfulVirtualMachineSnapshotCreate", f"Kept the machine in {key.name}")
    return Decision(status=_status_patch(seen.snapshot, status), events=(event,))


def _fail(seen: Observed, status: Status, message: str) -> Decision[Action]:
    status |= {"phase": "Failed", "error": {"message": message, "time": format_time(seen.now)}}
    _progress(status, seen.now, "Operation failed", ready=False)
    set_condition(status, "Failure", "True", seen.now, reason="SnapshotFailed", message=message)
    event = Event(EventType.WARNING, "SnapshotFailed", message)
    return Decision(status=_status_patch(seen.snapshot, status), events=(event,))


def _progress(status: Status, now: datetime, reason: str, *, ready: bool) -> None:
    going = "True" if reason == "Operation in progress" else "False"
    set_condition(status, "Progressing", going, now, reason=reason)
    set_condition(status, "Ready", str(ready), now, reason=reason if ready else "Not ready")


def _time_left(seen: Observed) -> timedelta | None:
    """Until it is too late; None when it never is."""
    created = seen.snapshot.metadata.creation_timestamp
    if not created:
        return None
    limit = DEADLINE
    if seen.snapshot.spec.failure_deadline:
        try:
            limit = parse_duration(seen.snapshot.spec.failure_deadline)
        except ValueError:
            limit = DEADLINE
    return parse_time(created) + limit - seen.now if limit else None


def _make_content(snapshot: VirtualMachineSnapshot, vm: VirtualMachine) -> Create:
    machine: Status = msgspec.to_builtins(vm)
    metadata = machine["metadata"]
    for field in ("managedFields", "finalizers", "ownerReferences"):
        metadata.pop(field, None)
    obj = {
        "metadata": {
            "name": content_name(snapshot),
            "namespace": snapshot.metadata.namespace,
            "finalizers": [CONTENT_FINALIZER],
        },
        "spec": {"source": {"virtualMachine": machine}, "virtualMachineSnapshotName": snapshot.metadata.name},
    }
    # No owner: with the policy Retain the content outlives the snapshot. The name has the snapshot's uid.
    return Create(VIRTUAL_MACHINE_SNAPSHOT_CONTENTS, snapshot.metadata.namespace, obj, None)


def _release(snapshot: VirtualMachineSnapshot, content: VirtualMachineSnapshotContent | None) -> list[Action]:
    """First the content goes, then the snapshot."""
    if content is not None and (snapshot.spec.deletion_policy or "delete").lower() != "retain":
        key = Key(content.metadata.namespace, content.metadata.name)
        actions: list[Action] = []
        if content.metadata.finalizers:
            body = {"metadata": {"resourceVersion": content.metadata.resource_version, "finalizers": None}}
            actions.append(PatchObject(VIRTUAL_MACHINE_SNAPSHOT_CONTENTS, key, Patch.merge(body)))
        if content.metadata.deletion_timestamp is None:
            actions.append(Delete(VIRTUAL_MACHINE_SNAPSHOT_CONTENTS, key, content.metadata.uid))
        return actions
    if FINALIZER not in snapshot.metadata.finalizers:
        return []
    return [_finalizers(snapshot, [name for name in snapshot.metadata.finalizers if name != FINALIZER])]


def _finalizers(snapshot: VirtualMachineSnapshot, finalizers: list[str]) -> PatchObject:
    body = {"metadata": {"resourceVersion": snapshot.metadata.resource_version, "finalizers": finalizers or None}}
    return PatchObject(VIRTUAL_MACHINE_SNAPSHOTS, _key(snapshot), Patch.merge(body))


def _status_patch(snapshot: VirtualMachineSnapshot, status: Status) -> StatusPatch:
    return StatusPatch(VIRTUAL_MACHINE_SNAPSHOTS, _key(snapshot), status, msgspec.to_builtins(snapshot.status))


def _key(snapshot: VirtualMachineSnapshot) -> Key:
    return Key(snapshot.metadata.namespace, snapshot.metadata.name)
