"""What to do about a clone: make the machine once, and say how it went."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from kobune.api.clone import VirtualMachineClone
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import VIRTUAL_MACHINE_CLONES
from kobune.kube.client.resource import Key
from kobune.kube.runtime.decision import Action, Create, Decision, Event, EventType, StatusPatch
from kobune.virt.controllers.clone.copying import CLONE_ANNOTATION, copied_machine, uncopyable
from kobune.virt.controllers.conditions import set_condition

__all__ = ["Observed", "decide"]

_FINISHED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Observed:
    """A clone, its source (a machine, or the one that a snapshot keeps), and what holds the target's name; machines
    as decoded JSON."""

    clone: VirtualMachineClone
    source: dict[str, Any] | None
    target: dict[str, Any] | None
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """The next step of a clone."""
    clone = seen.clone
    if clone.metadata.deletion_timestamp is not None or clone.status.phase in _FINISHED:
        return Decision()
    name = clone.spec.target.name if clone.spec.target is not None else ""
    if not name:
        return _failed(seen, "the clone has no target")
    if seen.target is not None:
        annotations = seen.target["metadata"].get("annotations") or {}
        if annotations.get(CLONE_ANNOTATION) == clone.metadata.uid:
            return _succeeded(seen, name)
        return _failed(seen, f"a VirtualMachine {name} exists already: choose another name")
    if seen.source is None:
        return _waiting(seen)
    if obstacle := uncopyable(clone, seen.source):
        return _failed(seen, obstacle)
    machine = copied_machine(clone, seen.source, name)
    return Decision(actions=(Create(VIRTUAL_MACHINES, clone.metadata.namespace, machine, None),))


def _succeeded(seen: Observed, name: str) -> Decision[Action]:
    status = _status(seen)
    status.update(phase="Succeeded", targetName=name)
    set_condition(status, "Progressing", "False", seen.now, reason="Ready", message="Clone completed successfully")
    set_condition(status, "Ready", "True", seen.now, reason="Ready", message="Clone completed successfully")
    return _told(seen, status, Event(EventType.NORMAL, "TargetVMCreated", f"Created virtual machine {name}"))


def _failed(seen: Observed, message: str) -> Decision[Action]:
    status = _status(seen)
    status["phase"] = "Failed"
    set_condition(status, "Progressing", "False", seen.now, reason="Failed", message=message)
    set_condition(status, "Ready", "False", seen.now, reason="Failed", message=message)
    return _told(seen, status, Event(EventType.WARNING, "CloneFailed", message))


def _waiting(seen: Observed) -> Decision[Action]:
    status = _status(seen)
    source = seen.clone.spec.source
    state = "is not ready" if source.kind == "VirtualMachineSnapshot" else "does not exist yet"
    message = f"{source.kind} {source.name} {state}"
    told = bool(status.get("conditions"))
    set_condition(status, "Progressing", "True", seen.now, reason="SourceDoesNotExist", message=message)
    set_condition(status, "Ready", "False", seen.now, reason="SourceDoesNotExist", message=message)
    event = Event(EventType.WARNING, "SourceDoesNotExist", message)
    return _told(seen, status, *(() if told else (event,)))


def _status(seen: Observed) -> dict[str, Any]:
    status: dict[str, Any] = msgspec.to_builtins(seen.clone.status)
    return status


def _told(seen: Observed, status: dict[str, Any], *events: Event) -> Decision[Action]:
    key = Key(seen.clone.metadata.namespace, seen.clone.metadata.name)
    patch = StatusPatch(VIRTUAL_MACHINE_CLONES, key, status, msgspec.to_builtins(seen.clone.status))
    return Decision(status=patch, events=events)
