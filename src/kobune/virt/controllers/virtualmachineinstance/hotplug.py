"""Plugged volumes of an instance: the pods that hold them, and how far they are until virt-handler takes over. Pure.

Owns the entries of status.volumeStatus of such volumes with their phases Pending, Bound, AttachedToNode and Detaching;
from MountedToPod on, and back to UnMountedFromPod, they are virt-handler's. A pod is deleted only once virt-handler has
said that nothing of the volume is left in the launcher, or never had it. Words are KubeVirt's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kobune.api.core import PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachineInstance, Volume
from kobune.kube.client.core import PODS
from kobune.kube.client.objects import key_of
from kobune.kube.runtime.decision import Action, Create, Delete, Event, EventType
from kobune.virt.controllers.virtualmachineinstance.attachment_pod import attachment_pod, attachment_pod_name
from kobune.virt.domain.hotplug import claim_of, held_volumes
from kobune.virt.domain.hotplug_pod import VOLUME_LABEL

__all__ = ["delete_attachments", "plug"]

HANDLERS: Final = ("MountedToPod", "Ready", "MemoryDumpInProgress", "MemoryDumpCompleted", "MemoryDumpFailed")
"""Phases in which virt-handler still has the volume."""
BEFORE_HANDLER: Final = ("", "Pending", "Bound", "AttachedToNode", "Detaching", "UnMountedFromPod")

Status = dict[str, Any]


@dataclass(slots=True)
class _Plan:
    actions: list[Action]
    events: list[Event]


def plug(
    status: Status,
    vmi: VirtualMachineInstance,
    launcher: Pod,
    attachments: Sequence[Pod],
    claims: Mapping[str, PersistentVolumeClaim],
) -> tuple[list[Action], list[Event]]:
    """What to create and delete; brings `status` up to date. `attachments` are the launcher pod's."""
    plan = _Plan([], [])
    entries: dict[str, Status] = {entry["name"]: entry for entry in status.get("volumeStatus", ())}
    wanted = held_volumes(vmi.spec)
    held = {pod.metadata.labels.get(VOLUME_LABEL, ""): pod for pod in attachments}
    for name, volume in wanted.items():
        claim = claims.get(claim_of(volume))
        pod = held.get(name)
        entries[name] = _coming(entries.get(name, {"name": name, "target": ""}), volume, claim, pod)
        if pod is None and claim is not None and launcher.spec.node_name:
            body = attachment_pod(vmi, launcher, volume, claim)
            plan.actions.append(Create(PODS, vmi.metadata.namespace, body, launcher.metadata.uid))
            message = f"Created attachment pod {attachment_pod_name(launcher, volume)}"
            plan.events.append(Event(EventType.NORMAL, "SuccessfulCreate", message))
        elif pod is not None and _is_over(pod):
            # Evicted, or its container failed for good: another one takes its place.
            _delete(plan, pod)
    for name in [name for name in entries if name not in wanted and entries[name].get("hotplugVolume") is not None]:
        left = _leaving(plan, entries[name], held.get(name))
        if left is None:
            del entries[name]
        else:
            entries[name] = left
    for name, pod in held.items():
        if name not in entries:
            _delete(plan, pod)
    if entries:
        status["volumeStatus"] = [entries[name] for name in sorted(entries)]
    else:
        status.pop("volumeStatus", None)
    return plan.actions, plan.events


def delete_attachments(attachments: Sequence[Pod]) -> list[Action]:
    """All of a launcher pod that is over."""
    plan = _Plan([], [])
    for pod in attachments:
        _delete(plan, pod)
    return plan.actions


def _coming(entry: Status, volume: Volume, claim: PersistentVolumeClaim | None, pod: Pod | None) -> Status:
    entry = {**entry, "hotplugVolume": _holder(pod)}
    if volume.memory_dump is not None:
        entry["memoryDumpVolume"] = {"claimName": claim_of(volume), **entry.get("memoryDumpVolume", {})}
    if entry.get("phase", "") not in BEFORE_HANDLER:
        return entry
    if pod is not None and pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None:
        message = f"Created hotplug attachment pod {pod.metadata.name}, for volume {volume.name}"
        if entry.get("phase") == "AttachedToNode":  # virt-handler may have said more
            return entry
        return {**entry, "phase": "AttachedToNode", "reason": "SuccessfulCreate", "message": message}
    if pod is not None and (trouble := _trouble(pod)):
        bound = claim is not None and claim.status.phase == "Bound"
        return {**entry, "phase": "Bound" if bound else "Pending", "reason": "PVCNotReady", "message": trouble}
    if claim is None:
        message = f"PVC {claim_of(volume)} not found"
        return {**entry, "phase": "Pending", "reason": "FailedPvcNotFound", "message": message}
    if claim.status.phase == "Bound":
        return {**entry, "phase": "Bound", "reason": "PVCNotReady", "message": "PVC is in phase Bound"}
    lost = claim.status.phase == "Lost"
    message = "PVC is in phase Lost" if lost else "PVC is in phase ClaimPending"
    return {**entry, "phase": "Pending", "reason": "PVCNotReady", "message": message}


def _leaving(plan: _Plan, entry: Status, pod: Pod | None) -> Status | None:
    """The entry of a volume that nobody wants any more; None once nothing is left of it."""
    if entry.get("phase") in HANDLERS:
        return entry
    if pod is None:
        return None
    _delete(plan, pod)
    message = f"Deleted hotplug attachment pod {pod.metadata.name}, for volume {entry['name']}"
    return {**entry, "phase": "Detaching", "reason": "SuccessfulDelete", "message": message}


def _trouble(pod: Pod) -> str:
    """Why a pod does not run yet, as far as it says so; empty while it only takes its time."""
    for found in pod.status.conditions:
        if found.type == "PodScheduled" and found.status == "False" and found.message:
            return f"attachment pod {pod.metadata.name} has no node: {found.message}"
    for container in pod.status.container_statuses:
        waiting = container.state.waiting
        if waiting is not None and waiting.reason not in ("", "ContainerCreating", "PodInitializing"):
            return f"attachment pod {pod.metadata.name} waits: {waiting.reason}: {waiting.message}"
    return ""


def _holder(pod: Pod | None) -> Status:
    if pod is None:
        return {}
    ready = any(item.ready for item in pod.status.container_statuses)
    holder = {"attachPodName": pod.metadata.name}
    return {**holder, "attachPodUID": pod.metadata.uid} if ready else holder


def _delete(plan: _Plan, pod: Pod) -> None:
    if pod.metadata.deletion_timestamp is None:
        plan.actions.append(Delete(PODS, key_of(pod), pod.metadata.uid, grace_period_s=0))
        message = f"Deleted attachment pod {pod.metadata.name}"
        plan.events.append(Event(EventType.NORMAL, "SuccessfulDelete", message))


def _is_over(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")
