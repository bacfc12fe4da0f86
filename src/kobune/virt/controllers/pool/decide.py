"""Which machines of a pool to make, update or remove."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from kobune.api.cdi import DataVolume
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.api.pool import VirtualMachinePool
from kobune.base.errors import TerminalError
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import DATA_VOLUMES, VIRTUAL_MACHINE_POOLS
from kobune.kube.client.objects import owner_reference
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.pool.choose import followers, in_order
from kobune.virt.controllers.pool.members import REVISION_LABEL, member, revision_name
from kobune.virt.controllers.pool.update import broken, restart_outdated, update_outdated
from kobune.virt.controllers.revisions import CONTROLLER_REVISIONS
from kobune.virt.controllers.scaling import scaled_status

__all__ = ["Observed", "decide", "refused"]


@dataclass(frozen=True, slots=True)
class Observed:
    """A pool, the machines it controls with what belongs to them, and the revisions of the pool."""

    pool: VirtualMachinePool
    machines: tuple[VirtualMachine, ...]
    revisions: Mapping[str, Mapping[str, Any]]
    """Its ControllerRevisions by name."""
    now: datetime
    instances: Mapping[str, VirtualMachineInstance] = field(default_factory=dict)
    """The instances that the machines control, by name."""
    data_volumes: Mapping[str, tuple[DataVolume, ...]] = field(default_factory=dict)
    """The disks that each machine owns, by the machine's uid."""


def decide(seen: Observed) -> Decision[Action]:
    """Make, take away and replace machines; once their number is right, let them follow the template."""
    pool = seen.pool
    if pool.metadata.deletion_timestamp is not None:
        return Decision()
    active = [vm for vm in seen.machines if vm.metadata.deletion_timestamp is None]
    if pool.spec.paused:
        return Decision(status=_status(seen, active), events=_pause_events(pool))
    wanted = 1 if pool.spec.replicas is None else pool.spec.replicas
    actions: list[Action] = []
    events: list[Event] = [*_pause_events(pool)]
    # One that is about to go still counts: its number is free when it is gone.
    names = _new_names(seen, max(wanted - len(seen.machines), 0))
    outdated = _outdated(seen, active) if len(seen.machines) == wanted else []
    if (names or outdated) and revision_name(pool) not in seen.revisions:
        actions.append(_keep_revision(pool))
    for name in names:
        obj = member(pool, name)
        actions.append(Create(VIRTUAL_MACHINES, pool.metadata.namespace, obj, pool.metadata.uid))
        events.append(Event(EventType.NORMAL, "SuccessfulCreate", f"Created VM {pool.metadata.namespace}/{name}"))
    doomed = _scale_in(seen, active, max(len(active) - wanted, 0))
    failing, look_again = broken(pool, [vm for vm in active if vm not in doomed], seen.now)
    if _keeps_disks(pool):
        going = [vm for vm in seen.machines if vm not in active]
        actions += [action for vm in (*doomed, *going) for action in _let_go_of_disks(seen, vm)]
    for vm in (*doomed, *failing):
        key = Key(vm.metadata.namespace, vm.metadata.name)
        actions.append(Delete(VIRTUAL_MACHINES, key, vm.metadata.uid))
        message = f"Deleted VM {key} with uid {vm.metadata.uid} from pool"
        events.append(Event(EventType.NORMAL, "SuccessfulDelete", message))
    if len(seen.machines) == wanted:
        actions += outdated or _restart(seen, [vm for vm in active if vm not in failing])
    actions += _forget(seen)
    return Decision(
        actions=tuple(actions), status=_status(seen, active), events=tuple(events), requeue_after=look_again
    )


def _scale_in(seen: Observed, active: list[VirtualMachine], surplus: int) -> list[VirtualMachine]:
    """The machines to take away. Unless that is proactive, people take them away, and none is made in their place."""
    strategy = seen.pool.spec.scale_in_strategy
    if surplus == 0:
        return []
    if strategy is None:
        return in_order(seen.pool, active, None)[:surplus]
    if strategy.unmanaged is not None or strategy.opportunistic is not None:
        return []
    policy = strategy.proactive.selection_policy if strategy.proactive is not None else None
    return in_order(seen.pool, active, policy)[:surplus]


def _keeps_disks(pool: VirtualMachinePool) -> bool:
    """Whether machines that leave the pool leave their disks behind."""
    strategy = pool.spec.scale_in_strategy
    if strategy is None or strategy.unmanaged is not None:
        return False
    chosen = strategy.opportunistic or strategy.proactive
    return chosen is not None and chosen.state_preservation in ("Offline", "Online")


def _let_go_of_disks(seen: Observed, vm: VirtualMachine) -> list[Action]:
    """Take the machine off the owners of its disks: a machine of the same number finds them again."""
    return [
        PatchObject(
            DATA_VOLUMES,
            Key(volume.metadata.namespace, volume.metadata.name),
            Patch.merge(
                {
                    "metadata": {
                        "resourceVersion": volume.metadata.resource_version,
                        "ownerReferences": [
                            msgspec.to_builtins(owner)
                            for owner in volume.metadata.owner_references
                            if owner.uid != vm.metadata.uid
                        ],
                    }
                }
            ),
        )
        for volume in seen.data_volumes.get(vm.metadata.uid, ())
    ]


def _outdated(seen: Observed, machines: list[VirtualMachine]) -> list[Action]:
    """Give machines the present template, if they are to follow it."""
    strategy = seen.pool.spec.update_strategy
    if strategy is not None and strategy.unmanaged is not None:
        return []
    return update_outdated(seen.pool, followers(seen.pool, machines), seen.revisions)


def _restart(seen: Observed, machines: list[VirtualMachine]) -> list[Action]:
    """End guests that run an older template, unless they may go on until they end."""
    strategy = seen.pool.spec.update_strategy
    if strategy is not None and (strategy.unmanaged is not None or strategy.opportunistic is not None):
        return []
    return restart_outdated(seen.pool, followers(seen.pool, machines), seen.instances, seen.revisions)


def _forget(seen: Observed) -> list[Action]:
    """Remove revisions that nothing was made from any more."""
    used = {revision_name(seen.pool)}
    used |= {vm.metadata.labels.get(REVISION_LABEL, "") for vm in seen.machines}
    used |= {vmi.metadata.labels.get(REVISION_LABEL, "") for vmi in seen.instances.values()}
    return [
        Delete(CONTROLLER_REVISIONS, Key(seen.pool.metadata.namespace, name), kept["metadata"]["uid"])
        for name, kept in sorted(seen.revisions.items())
        if name not in used and (kept.get("metadata") or {}).get("uid")
    ]


def _keep_revision(pool: VirtualMachinePool) -> Create:
    obj = {
        "metadata": {
            "name": revision_name(pool),
            "namespace": pool.metadata.namespace,
            "ownerReferences": [owner_reference(VIRTUAL_MACHINE_POOLS, pool)],
        },
        "data": msgspec.to_builtins(pool.spec),
        "revision": pool.metadata.generation,
    }
    return Create(CONTROLLER_REVISIONS, pool.metadata.namespace, obj, pool.metadata.uid)


def _new_names(seen: Observed, count: int) -> list[str]:
    """The lowest free numbers."""
    taken = {vm.metadata.name for vm in seen.machines}
    names: list[str] = []
    index = 0
    while len(names) < count:
        name = f"{seen.pool.metadata.name}-{index}"
        if name not in taken:
            names.append(name)
        index += 1
    return names


def _pause_events(pool: VirtualMachinePool) -> tuple[Event, ...]:
    was_paused = any(item.type == "ReplicaPaused" and item.status == "True" for item in pool.status.conditions)
    if pool.spec.paused and not was_paused:
        return (Event(EventType.NORMAL, "SuccessfulPaused", "Pool is paused"),)
    if was_paused and not pool.spec.paused:
        return (Event(EventType.NORMAL, "SuccessfulResume", "Pool is unpaused"),)
    return ()


def refused(seen: Observed, action: Action, error: TerminalError) -> Decision[Action] | None:
    """The pool's status and warnings, when the API refused a machine, its end or its new template."""
    if isinstance(action, Create) and action.resource == VIRTUAL_MACHINES:
        reason, message = "FailedScaleOut", f"error during scale out: {error}"
        first = Event(EventType.WARNING, "FailedCreate", f"Error creating VM: {error}")
    elif isinstance(action, Delete) and action.resource == VIRTUAL_MACHINES:
        reason, message = "FailedScaleIn", f"error during scale in: {error}"
        first = Event(EventType.WARNING, "FailedDelete", f"Error deleting virtual machine {action.key}: {error}")
    elif isinstance(action, PatchObject) and action.resource == VIRTUAL_MACHINES:
        reason, message = "FailedUpdate", f"error during VM update: {error}"
        first = Event(EventType.WARNING, "FailedUpdate", f"Error updating virtual machine {action.key}: {error}")
    else:
        return None
    active = [vm for vm in seen.machines if vm.metadata.deletion_timestamp is None]
    events = (first, Event(EventType.WARNING, reason, message))
    return Decision(status=_status(seen, active, (reason, message)), events=events)


def _status(seen: Observed, active: list[VirtualMachine], failure: tuple[str, str] | None = None) -> StatusPatch:
    pool = seen.pool
    observed: dict[str, Any] = msgspec.to_builtins(pool.status)
    status = scaled_status(
        observed,
        pool.spec.selector,
        seen.now,
        replicas=len(active),
        ready=sum(bool(vm.status.ready) for vm in active),
        paused=("SuccessfulPaused", "Pool controller is paused") if pool.spec.paused else None,
        failure=failure,
    )
    key = Key(pool.metadata.namespace, pool.metadata.name)
    return StatusPatch(VIRTUAL_MACHINE_POOLS, key, status, observed)
