"""The status of an object that nobody can carry out yet. An entry leaves this table together with its controller."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kobune.api.kubevirt import VirtualMachine
from kobune.base.clock import format_time
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Decision, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.virtualmachine.datavolumes import volume_names as claim_names

__all__ = ["NOT_YET", "Observed", "decide"]

Status = dict[str, Any]

_FINALIZERS: Final = ("kubevirt.io/migrationJobFinalize",)


def _condition(kind: str, value: str, message: str, moment: str) -> Status:
    return {
        "type": kind,
        "status": value,
        "reason": "NotSupported",
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": moment,
    }


NOT_YET: Final[dict[str, Callable[[str, str], Status]]] = {
    "DataVolume": lambda message, moment: {
        "phase": "Pending",
        "progress": "N/A",
        "conditions": [
            {
                "type": kind,
                "status": "False",
                "reason": "NotSupported",
                "message": message,
                "lastTransitionTime": moment,
            }
            for kind in ("Bound", "Running", "Ready")
        ],
    },
    "VirtualMachineInstanceMigration": lambda message, moment: {
        "phase": "Pending",
        "conditions": [_condition("NotSupported", "True", message, moment)],
    },
    "VirtualMachineExport": lambda message, moment: {
        "phase": "Skipped",
        "conditions": [_condition("Ready", "False", message, moment)],
    },
}


@dataclass(frozen=True, slots=True)
class Observed:
    """An object of one of these kinds, as decoded JSON."""

    resource: Resource[dict[str, Any]]
    obj: dict[str, Any]
    now: datetime
    source: VirtualMachine | None = None
    """The machine that an export names."""


def decide(seen: Observed) -> Decision[Action]:
    """Say once that nothing will happen; let go of what is deleted."""
    status, metadata = seen.obj.get("status") or {}, seen.obj["metadata"]
    if metadata.get("deletionTimestamp"):
        return Decision(actions=_release(seen.resource, seen.obj))
    if status.get("conditions"):
        return Decision()
    kind = seen.resource.kind
    if seen.source is not None and not claim_names(seen.source):
        return Decision(status=StatusPatch(seen.resource, key_of(seen.obj), {**status, **_nothing(seen)}, status))
    message = f"{kind} is not supported yet; nothing was done"
    wanted = NOT_YET[kind](message, format_time(seen.now))
    return Decision(
        status=StatusPatch(seen.resource, key_of(seen.obj), {**status, **wanted}, status),
        events=(Event(EventType.WARNING, "NotSupported", message),),
    )


def _nothing(seen: Observed) -> Status:
    """An export of a machine without disks of its own."""
    name = seen.source.metadata.name if seen.source is not None else ""
    message = f"VirtualMachine {name} has no volumes that could be exported"
    ready = _condition("Ready", "False", message, format_time(seen.now))
    return {"phase": "Skipped", "conditions": [{**ready, "reason": "VMNoVolumes"}]}


def _release(resource: Resource[dict[str, Any]], obj: dict[str, Any]) -> tuple[Action, ...]:
    """Remove the finalizers that admission put there for a controller to come."""
    metadata = obj["metadata"]
    finalizers = metadata.get("finalizers") or []
    rest = [name for name in finalizers if name not in _FINALIZERS]
    if rest == finalizers:
        return ()
    body = {"metadata": {"resourceVersion": metadata.get("resourceVersion"), "finalizers": rest or None}}
    return (PatchObject(resource, key_of(obj), Patch.merge(body)),)
