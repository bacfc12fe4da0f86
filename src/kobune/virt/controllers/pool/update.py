"""How machines of a pool follow its template, and how those that never start are replaced."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.api.pool import VirtualMachinePool
from kobune.base.clock import parse_time
from kobune.base.duration import parse_duration
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch, Propagation
from kobune.kube.runtime.decision import Action, Delete, PatchObject
from kobune.virt.controllers.pool.choose import in_order
from kobune.virt.controllers.pool.members import REVISION_LABEL, member_spec, revision_name, template_of
from kobune.virt.controllers.words import FINAL_PHASES

__all__ = ["broken", "restart_outdated", "update_outdated"]

FAILED_STARTS: Final = 3
FAILING_FOR: Final = timedelta(minutes=5)
IN_TROUBLE: Final = (
    "CrashLoopBackOff",
    "ErrorUnschedulable",
    "DataVolumeError",
    "ErrorPvcNotFound",
    "ErrImagePull",
    "ImagePullBackOff",
)
"""Printable states that a machine seldom leaves by itself."""

Revisions = Mapping[str, Mapping[str, Any]]


def update_outdated(pool: VirtualMachinePool, machines: list[VirtualMachine], revisions: Revisions) -> list[Action]:
    """The new template for machines that were made from another one; a running guest gets it when it restarts."""
    return [
        _update(pool, vm)
        for vm in machines
        if not _same_template(pool, revisions, vm.metadata.labels.get(REVISION_LABEL, ""))
    ]


def restart_outdated(
    pool: VirtualMachinePool,
    machines: list[VirtualMachine],
    instances: Mapping[str, VirtualMachineInstance],
    revisions: Revisions,
) -> list[Action]:
    """End guests that run an older template, as many at a time as the pool allows to be away.

    A machine whose disks are made from other templates is made anew, disks included.
    """
    strategy = pool.spec.update_strategy
    proactive = strategy.proactive if strategy is not None else None
    actions: list[Action] = []
    budget = _allowed(pool) - sum(_is_away(vm, instances.get(vm.metadata.name)) for vm in machines)
    policy = proactive.selection_policy if proactive is not None else None
    for vm in in_order(pool, machines, policy):
        vmi = instances.get(vm.metadata.name)
        if vmi is None or vmi.metadata.deletion_timestamp is not None or vmi.status.phase in FINAL_PHASES:
            continue
        revision = vmi.metadata.labels.get(REVISION_LABEL, "")
        if not revision or _same_template(pool, revisions, revision):
            continue
        # One that is away anyway costs nobody anything: a template that never worked can be replaced at once.
        if not _is_away(vm, vmi):
            if budget <= 0:
                continue
            budget -= 1
        actions.append(_renew(pool, vm, vmi, revisions.get(revision)))
    return actions


def broken(
    pool: VirtualMachinePool, machines: list[VirtualMachine], now: datetime
) -> tuple[list[VirtualMachine], timedelta | None]:
    """Machines that failed to start too often, or are in trouble for too long, and when to look again."""
    healing = pool.spec.autohealing
    if healing is None:
        return [], None
    threshold = FAILED_STARTS if healing.start_up_failure_threshold is None else healing.start_up_failure_threshold
    patience = _duration(healing.min_failing_to_start_duration, FAILING_FOR)
    found: list[VirtualMachine] = []
    wait: timedelta | None = None
    for vm in machines:
        failure = vm.status.start_failure
        if failure is not None and (failure.consecutive_fail_count or 0) >= threshold:
            found.append(vm)
            continue
        since = _not_ready_since(vm)
        if vm.status.printable_status not in IN_TROUBLE or since is None:
            continue
        left = patience - (now - since)
        if left <= timedelta():
            found.append(vm)
        else:
            wait = left if wait is None else min(wait, left)
    return found, wait


def _same_template(pool: VirtualMachinePool, revisions: Revisions, revision: str) -> bool:
    """Whether a revision has the pool's present template; another count alone makes a revision, but no difference."""
    if revision == revision_name(pool):
        return True
    return _template(revisions.get(revision)) == template_of(pool)


def _template(revision: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if revision is None:
        return None
    data = revision.get("data") or {}
    template: dict[str, Any] = data.get("virtualMachineTemplate", data)
    return template


def _update(pool: VirtualMachinePool, vm: VirtualMachine) -> PatchObject:
    template = pool.spec.virtual_machine_template.metadata
    labels = {**vm.metadata.labels, **template.labels, REVISION_LABEL: revision_name(pool)}
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": vm.metadata.resource_version},
        {"op": "add", "path": "/metadata/labels", "value": labels},
        {"op": "replace", "path": "/spec", "value": member_spec(pool, vm.metadata.name, vm)},
    ]
    if template.annotations:
        annotations = {**vm.metadata.annotations, **template.annotations}
        operations.append({"op": "add", "path": "/metadata/annotations", "value": annotations})
    return PatchObject(VIRTUAL_MACHINES, _key(vm), Patch.json(*operations))


def _renew(
    pool: VirtualMachinePool, vm: VirtualMachine, vmi: VirtualMachineInstance, revision: Mapping[str, Any] | None
) -> Action:
    then, now = (_template(revision) or {}).get("spec") or {}, template_of(pool).get("spec") or {}
    if then.get("dataVolumeTemplates") != now.get("dataVolumeTemplates"):
        return Delete(VIRTUAL_MACHINES, _key(vm), vm.metadata.uid, propagation=Propagation.FOREGROUND)
    if then.get("template") == now.get("template"):
        label = {"metadata": {"labels": {REVISION_LABEL: revision_name(pool)}}}
        return PatchObject(VIRTUAL_MACHINE_INSTANCES, _key(vmi), Patch.merge(label))
    return Delete(VIRTUAL_MACHINE_INSTANCES, _key(vmi), vmi.metadata.uid)


def _is_away(vm: VirtualMachine, vmi: VirtualMachineInstance | None) -> bool:
    """Whether the machine's guest should be there and is not."""
    if vmi is None:
        return vm.spec.run_strategy in ("Always", "RerunOnFailure") or vm.spec.running is True
    if vmi.metadata.deletion_timestamp is not None:
        return True
    return not any(item.type == "Ready" and item.status == "True" for item in vmi.status.conditions)


def _allowed(pool: VirtualMachinePool) -> int:
    """How many may be away; all of them if the pool does not say."""
    replicas = 1 if pool.spec.replicas is None else pool.spec.replicas
    text = str("100%" if pool.spec.max_unavailable is None else pool.spec.max_unavailable)
    number = text.removesuffix("%")
    if not number.isdigit():
        return replicas
    return max(replicas * int(number) // 100 if text.endswith("%") else int(number), 1)


def _not_ready_since(vm: VirtualMachine) -> datetime | None:
    ready = next((item for item in vm.status.conditions if item.type == "Ready"), None)
    if ready is None or ready.status == "True" or not ready.last_transition_time:
        return None
    return parse_time(ready.last_transition_time)


def _duration(text: str | None, otherwise: timedelta) -> timedelta:
    if not text:
        return otherwise
    try:
        return parse_duration(text)
    except ValueError:
        return otherwise


def _key(obj: VirtualMachine | VirtualMachineInstance) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)
