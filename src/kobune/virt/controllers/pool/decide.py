"""Which machines of a pool to make, update or remove."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import VirtualMachine
from kobune.api.pool import VirtualMachinePool
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import VIRTUAL_MACHINE_POOLS
from kobune.kube.client.objects import owner_reference
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.conditions import remove_condition, set_condition
from kobune.virt.controllers.revisions import CONTROLLER_REVISIONS
from kobune.virt.controllers.scaling import selector_text

__all__ = ["REVISION_LABEL", "Observed", "decide"]

REVISION_LABEL: Final = "kubevirt.io/vm-pool-revision-name"


@dataclass(frozen=True, slots=True)
class Observed:
    """A pool, the machines it controls, and whether its present revision is kept."""

    pool: VirtualMachinePool
    machines: tuple[VirtualMachine, ...]
    revisions: Mapping[str, Mapping[str, Any]]
    """Its ControllerRevisions by name."""
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """Keep the revision, make and update machines, take away those with the highest numbers."""
    pool = seen.pool
    if pool.metadata.deletion_timestamp is not None:
        return Decision()
    active = [vm for vm in seen.machines if vm.metadata.deletion_timestamp is None]
    wanted = 1 if pool.spec.replicas is None else pool.spec.replicas
    actions: list[Action] = []
    events: list[Event] = []
    if not pool.spec.paused:
        if _revision_name(pool) not in seen.revisions:
            actions.append(_keep_revision(pool))
        for name in _new_names(seen, max(wanted - len(active), 0)):
            actions.append(_create(pool, name))
            events.append(Event(EventType.NORMAL, "SuccessfulCreate", f"Created VM {pool.metadata.namespace}/{name}"))
        doomed = sorted(active, key=lambda vm: _number(pool, vm.metadata.name))[wanted:]
        if pool.spec.scale_in_strategy is None or pool.spec.scale_in_strategy.unmanaged is None:
            for vm in doomed:
                key = Key(vm.metadata.namespace, vm.metadata.name)
                actions.append(Delete(VIRTUAL_MACHINES, key, vm.metadata.uid))
                events.append(Event(EventType.NORMAL, "SuccessfulDelete", f"Deleted VM {key}"))
        if pool.spec.update_strategy is None or pool.spec.update_strategy.unmanaged is None:
            actions += [_update(pool, vm) for vm in active if vm not in doomed and _is_outdated(seen, vm)]
    return Decision(actions=tuple(actions), status=_status(seen, active), events=tuple(events))


def _revision_name(pool: VirtualMachinePool) -> str:
    return f"{pool.metadata.name}-{pool.metadata.generation}"


def _template(pool: VirtualMachinePool) -> dict[str, Any]:
    template: dict[str, Any] = msgspec.to_builtins(pool.spec.virtual_machine_template)
    return template


def _keep_revision(pool: VirtualMachinePool) -> Create:
    obj = {
        "metadata": {
            "name": _revision_name(pool),
            "namespace": pool.metadata.namespace,
            "ownerReferences": [owner_reference(VIRTUAL_MACHINE_POOLS, pool)],
        },
        "data": _template(pool),
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


def _number(pool: VirtualMachinePool, name: str) -> int:
    suffix = name.removeprefix(f"{pool.metadata.name}-")
    return int(suffix) if suffix.isdigit() else -1


def _create(pool: VirtualMachinePool, name: str) -> Create:
    template = pool.spec.virtual_machine_template
    metadata: dict[str, Any] = {
        "name": name,
        "labels": {**template.metadata.labels, REVISION_LABEL: _revision_name(pool)},
        "ownerReferences": [owner_reference(VIRTUAL_MACHINE_POOLS, pool)],
    }
    if template.metadata.annotations:
        metadata["annotations"] = dict(template.metadata.annotations)
    obj = {"metadata": metadata, "spec": _template(pool).get("spec", {})}
    return Create(VIRTUAL_MACHINES, pool.metadata.namespace, obj, pool.metadata.uid)


def _is_outdated(seen: Observed, vm: VirtualMachine) -> bool:
    """Made from another template; a new generation with the same template (another count) is none."""
    revision = vm.metadata.labels.get(REVISION_LABEL, "")
    if revision == _revision_name(seen.pool):
        return False
    kept = seen.revisions.get(revision)
    return kept is None or kept.get("data") != _template(seen.pool)


def _update(pool: VirtualMachinePool, vm: VirtualMachine) -> PatchObject:
    """The new template; a running guest gets it when it restarts, and its machine says so."""
    template = _template(pool).get("spec", {}).get("template")
    body = {
        "metadata": {
            "resourceVersion": vm.metadata.resource_version,
            "labels": {**pool.spec.virtual_machine_template.metadata.labels, REVISION_LABEL: _revision_name(pool)},
        },
        "spec": {"template": template},
    }
    return PatchObject(VIRTUAL_MACHINES, Key(vm.metadata.namespace, vm.metadata.name), Patch.merge(body))


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
        set_condition(status, "ReplicaPaused", "True", seen.now, reason="Paused", message="Controller got paused")
    else:
        remove_condition(status, "ReplicaPaused")
    key = Key(pool.metadata.namespace, pool.metadata.name)
    return StatusPatch(VIRTUAL_MACHINE_POOLS, key, status, observed)
