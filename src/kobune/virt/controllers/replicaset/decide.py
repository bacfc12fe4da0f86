"""How many instances of a replica set to make or end."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from kobune.api.kubevirt import VirtualMachineInstance, VirtualMachineInstanceReplicaSet
from kobune.base.errors import TerminalError
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS, VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import owner_reference
from kobune.kube.client.resource import Key
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, StatusPatch
from kobune.virt.controllers.scaling import scaled_status
from kobune.virt.controllers.words import FINAL_PHASES

__all__ = ["Observed", "decide", "refused"]


@dataclass(frozen=True, slots=True)
class Observed:
    """A replica set and the instances it controls, those that end included."""

    replica_set: VirtualMachineInstanceReplicaSet
    instances: tuple[VirtualMachineInstance, ...]
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """Make what is missing, end what is too many, remove what has ended."""
    replica_set = seen.replica_set
    if replica_set.metadata.deletion_timestamp is not None:
        return Decision()
    alive = [vmi for vmi in seen.instances if vmi.metadata.deletion_timestamp is None]
    ended = [vmi for vmi in alive if vmi.status.phase in FINAL_PHASES]
    active = _active(seen)
    wanted = 1 if replica_set.spec.replicas is None else replica_set.spec.replicas
    actions: list[Action] = []
    events: list[Event] = []
    if not replica_set.spec.paused:
        actions += [_delete(vmi) for vmi in ended]
        for name in _new_names(seen, max(wanted - len(active), 0)):
            actions.append(_create(replica_set, name))
            events.append(Event(EventType.NORMAL, "SuccessfulCreate", f"Started the virtual machine {name}"))
        for vmi in _least_useful(active)[: max(len(active) - wanted, 0)]:
            actions.append(_delete(vmi))
            message = f"Stopped the virtual machine {vmi.metadata.name}"
            events.append(Event(EventType.NORMAL, "SuccessfulDelete", message))
    return Decision(actions=tuple(actions), status=_status(seen, active), events=tuple(events))


def _new_names(seen: Observed, count: int) -> list[str]:
    """Free names, always tried in the same order: a second attempt after a crash meets what the first one made."""
    taken = {vmi.metadata.name for vmi in seen.instances}
    names: list[str] = []
    index = 0
    while len(names) < count:
        digest = hashlib.sha256(f"{seen.replica_set.metadata.uid}/{index}".encode()).hexdigest()
        name = f"{seen.replica_set.metadata.name}{digest[:5]}"
        if name not in taken:
            names.append(name)
        index += 1
    return names


def _create(replica_set: VirtualMachineInstanceReplicaSet, name: str) -> Create:
    template = replica_set.spec.template
    metadata: dict[str, Any] = {
        "name": name,
        "generateName": replica_set.metadata.name,
        "labels": dict(template.metadata.labels),
        "ownerReferences": [owner_reference(VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS, replica_set)],
    }
    if template.metadata.annotations:
        metadata["annotations"] = dict(template.metadata.annotations)
    obj = {"metadata": metadata, "spec": msgspec.to_builtins(template.spec)}
    return Create(VIRTUAL_MACHINE_INSTANCES, replica_set.metadata.namespace, obj, replica_set.metadata.uid)


def _delete(vmi: VirtualMachineInstance) -> Delete:
    key = Key(vmi.metadata.namespace, vmi.metadata.name)
    return Delete(VIRTUAL_MACHINE_INSTANCES, key, vmi.metadata.uid)


def _least_useful(instances: list[VirtualMachineInstance]) -> list[VirtualMachineInstance]:
    """Those that do not run yet first, then the youngest."""
    youngest = sorted(instances, key=lambda vmi: vmi.metadata.creation_timestamp or "", reverse=True)
    return sorted(youngest, key=lambda vmi: vmi.status.phase == "Running")


def _is_ready(vmi: VirtualMachineInstance) -> bool:
    return any(item.type == "Ready" and item.status == "True" for item in vmi.status.conditions)


def refused(seen: Observed, action: Action, error: TerminalError) -> Decision[Action] | None:
    """The replica set's status and a warning, when the API refused an instance or its end."""
    match action:
        case Create():
            reason, event = "FailedCreate", f"Error creating virtual machine instance: {error}"
        case Delete():
            reason, event = "FailedDelete", f"Error deleting virtual machine instance {action.key.name}: {error}"
        case _:
            return None
    status = _status(seen, _active(seen), (reason, str(error)))
    return Decision(status=status, events=(Event(EventType.WARNING, reason, event),))


def _active(seen: Observed) -> list[VirtualMachineInstance]:
    return [
        vmi
        for vmi in seen.instances
        if vmi.metadata.deletion_timestamp is None and vmi.status.phase not in FINAL_PHASES
    ]


def _status(
    seen: Observed, active: list[VirtualMachineInstance], failure: tuple[str, str] | None = None
) -> StatusPatch:
    replica_set = seen.replica_set
    observed: dict[str, Any] = msgspec.to_builtins(replica_set.status)
    status = scaled_status(
        observed,
        replica_set.spec.selector,
        seen.now,
        replicas=len(active),
        ready=sum(_is_ready(vmi) for vmi in active),
        paused=("Paused", "Controller got paused") if replica_set.spec.paused else None,
        failure=failure,
    )
    key = Key(replica_set.metadata.namespace, replica_set.metadata.name)
    return StatusPatch(VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS, key, status, observed)
