"""Which machines of a pool to make, update or remove."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from kobune.api.cdi import DataVolume
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.api.pool import VirtualMachinePool
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import DATA_VOLUMES, VIRTUAL_MACHINE_POOLS
from kobune.kube.client.objects import owner_reference
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.conditions import remove_condition, set_condition
from kobune.virt.controllers.pool.choose import in_order
from kobune.virt.controllers.pool.members import REVISION_LABEL, member, revision_name
from kobune.virt.controllers.pool.update import broken, restart_outdated, update_outdated
from kobune.virt.controllers.revisions import CONTROLLER_REVISIONS
from kobune.virt.controllers.scaling import selector_text

__all__ = ["Observed", "decide"]


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
    if revision_name(pool) not in seen.revisions:
        actions.append(_keep_revision(pool))
    for name in _new_names(seen, max(wanted - len(active), 0)):
        obj = member(pool, name)
        actions.append(Create(VIRTUAL_MACHINES, pool.metadata.namespace, obj, pool.metadata.uid))
        events.append(Event(EventType.NORMAL, "SuccessfulCreate", f"Created VM {pool.metadata.namespace}/{name}"))
    doomed, keep_disks = _scale_in(seen, active, max(len(active) - wanted, 0))
    failing, look_again = broken(pool, [vm for vm in active if vm not in doomed], seen.now)
    for vm in (*doomed, *failing):
        if keep_disks and vm in doomed:
            actions += _let_go_of_disks(seen, vm)
        key = Key(vm.metadata.namespace, vm.metadata.name)
        actions.append(Delete(VIRTUAL_MACHINES, key, vm.metadata.uid))
        events.append(Event(EventType.NORMAL, "SuccessfulDelete", f"Deleted VM {key}"))
    rest = [vm for vm in active if vm not in doomed and vm not in failing]
    if len(active) == wanted:
        actions += _follow(seen, rest)
    actions += _forget(seen)
    return Decision(
        actions=tuple(actions), status=_status(seen, active), events=tuple(events), requeue_after=look_again
    )


def _scale_in(seen: Observed, active: list[VirtualMachine], surplus: int) -> tuple[list[VirtualMachine], bool]:
    """The machines to take away, and whether their disks stay."""
    strategy = seen.pool.spec.scale_in_strategy
    if surplus == 0 or (strategy is not None and strategy.unmanaged is not None):
        return [], False
    if strategy is not None and (opportunistic := strategy.opportunistic) is not None:
        # The ones that have stopped; the others are left alone until they do.
        stopped = [vm for vm in active if vm.metadata.name not in seen.instances]
        return in_order(seen.pool, stopped, None)[:surplus], _preserves(opportunistic.state_preservation)
    proactive = strategy.proactive if strategy is not None else None
    if proactive is None:
        return in_order(seen.pool, active, None)[:surplus], False
    ordered = in_order(seen.pool, active, proactive.selection_policy)
    return ordered[:surplus], _preserves(proactive.state_preservation)


def _preserves(state_preservation: str | None) -> bool:
    return state_preservation in ("Offline", "Online")


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


def _follow(seen: Observed, machines: list[VirtualMachine]) -> list[Action]:
    strategy = seen.pool.spec.update_strategy
    if strategy is not None and strategy.unmanaged is not None:
        return []
    if outdated := update_outdated(seen.pool, machines, seen.revisions):
        return outdated
    if strategy is not None and strategy.opportunistic is not None:
        return []
    return restart_outdated(seen.pool, machines, seen.instances, seen.revisions)


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
        return (Event(EventType.NORMAL, "SuccessfulResumed", "Pool is unpaused"),)
    return ()


def _status(seen: Observed, active: list[VirtualMachine]) -> StatusPatch:
    pool = seen.pool
    observed: dict[str, Any] = msgspec.to_builtins(pool.status)
    status = {**observed, "labelSelector": selector_text(pool.spec.selector)}
    ready = sum(bool(vm.status.ready) for vm in active)
    for name, count in (("replicas", len(active)), ("readyReplicas", ready)):
        if count:
            status[name] = count
        else:
            status.pop(name, None)
    if pool.spec.paused:
        set_condition(
            status, "ReplicaPaused", "True", seen.now, reason="SuccessfulPaused", message="Pool controller is paused"
        )
    else:
        remove_condition(status, "ReplicaPaused")
    key = Key(pool.metadata.namespace, pool.metadata.name)
    return StatusPatch(VIRTUAL_MACHINE_POOLS, key, status, observed)
