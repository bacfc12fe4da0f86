"""What to do about a VirtualMachineInstance: its launcher pod, its phase until virt-handler takes over, its end.

Who writes what of the status (docs/flows/instance.md): this controller moves `phase` from Pending to Scheduling and
Scheduled, and to a final phase when the pod is gone; virt-handler does everything between. The conditions Ready,
PodScheduled and Synchronized are this controller's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import format_time, parse_time
from kobune.base.quantity import format_quantity
from kobune.kube.client.core import PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.merge import merge_diff
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch, PatchType
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.conditions import condition, enter_phase, remove_condition, set_condition
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import (
    COMPUTE,
    UNPAUSED_GATE,
    PodSettings,
    launcher_pod,
    launcher_pod_name,
)
from kobune.virt.controllers.virtualmachineinstance.resources import (
    guest_memory_bytes,
    memory_overhead_bytes,
)
from kobune.virt.controllers.words import FINAL_PHASES, NODE_NAME_LABEL, VM_FINALIZER, VMI_FINALIZER

__all__ = ["Observed", "decide"]

HANDLER_GRACE: Final = timedelta(seconds=20)
"""How long a pod may be over before this controller, and not virt-handler, ends its instance."""

_IMAGE_ERRORS: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """One instance, the pods it controls, and the world around them."""

    vmi: VirtualMachineInstance
    pods: tuple[Pod, ...]
    now: datetime
    settings: PodSettings


def decide(seen: Observed) -> Decision[Action]:
    """The next step of an instance."""
    if seen.vmi.metadata.deletion_timestamp is not None:
        return _delete(seen)
    phase = seen.vmi.status.phase or "Pending"
    if phase in FINAL_PHASES:
        return _after_end(seen)
    pod = _current_pod(seen.pods)
    if pod is None:
        return _without_pod(seen, phase)
    return _with_pod(seen, phase, pod)


def _without_pod(seen: Observed, phase: str) -> Decision[Action]:
    vmi = seen.vmi
    if phase not in ("Pending", "WaitingForSync"):
        status = _status(vmi)
        enter_phase(status, "Failed", seen.now)
        set_condition(
            status, "Ready", "False", seen.now, reason="PodNotExists", message="virt-launcher pod has disappeared"
        )
        return Decision(
            status=_status_patch(vmi, status),
            events=(Event(EventType.WARNING, "PodDisappeared", "The virt-launcher pod was deleted by somebody else"),),
        )
    if vmi.metadata.annotations.get("kubevirt.io/wait-as-receiver") == "true":
        status = _status(vmi)
        _pod_missing(status, seen.now)
        return Decision(status=_status_patch(vmi, status))
    pod = launcher_pod(vmi, seen.settings)
    return Decision(
        actions=(Create(PODS, vmi.metadata.namespace, pod, vmi.metadata.uid),),
        events=(Event(EventType.NORMAL, "SuccessfulCreate", f"Created virtual machine pod {launcher_pod_name(vmi)}"),),
    )


def _with_pod(seen: Observed, phase: str, pod: Pod) -> Decision[Action]:
    vmi, now = seen.vmi, seen.now
    status = _status(vmi)
    _first_facts(status, vmi)
    _pod_facts(status, pod)
    actions: list[Action] = []
    requeue_after = None
    if phase == "Pending":
        phase = "Scheduling"
        enter_phase(status, phase, now)
    if _is_over(pod):
        if phase == "Running":
            requeue_after = _time_for_handler(pod, now)
        if requeue_after is None:
            # Before the handover only a failure can end the pod; after it, virt-handler had its chance.
            succeeded = phase == "Running" and pod.status.phase == "Succeeded"
            enter_phase(status, "Succeeded" if succeeded else "Failed", now)
    elif phase == "Scheduling" and _runs(pod):
        enter_phase(status, "Scheduled", now)
        status["nodeName"] = pod.spec.node_name
    _scheduling_conditions(status, pod, now)
    _ready(status, pod, now)
    if phase in ("Scheduled", "Running") or status["phase"] == "Scheduled":
        actions += _unpaused_gate(status, pod, now)
    if status["phase"] == "Scheduled" and vmi.metadata.labels.get(NODE_NAME_LABEL) != pod.spec.node_name:
        # Label and status in one write, so that virt-handler never sees one without the other.
        body: Status = {
            "metadata": {
                "resourceVersion": vmi.metadata.resource_version,
                "labels": {NODE_NAME_LABEL: pod.spec.node_name},
            },
            "status": merge_diff(_status(vmi), status),
        }
        actions.append(PatchObject(VIRTUAL_MACHINE_INSTANCES, _key(vmi), Patch.merge(body)))
        return Decision(actions=tuple(actions), requeue_after=requeue_after)
    return Decision(actions=tuple(actions), status=_status_patch(vmi, status), requeue_after=requeue_after)


def _after_end(seen: Observed) -> Decision[Action]:
    """The guest has ended and nobody deletes the instance: a pod that still runs is of no use."""
    vmi = seen.vmi
    status = _status(vmi)
    pod = _current_pod(seen.pods)
    if pod is not None:
        _pod_facts(status, pod)
        _ready(status, pod, seen.now)
    else:
        _pod_missing(status, seen.now)
    actions = tuple(
        _delete_pod(pod) for pod in seen.pods if pod.metadata.deletion_timestamp is None and not _is_over(pod)
    )
    return Decision(actions=actions, status=_status_patch(vmi, status))


def _delete(seen: Observed) -> Decision[Action]:
    """Pods first (their launcher shuts the guest down), then a final phase and the finalizer."""
    vmi = seen.vmi
    if seen.pods:
        doomed = [pod for pod in seen.pods if pod.metadata.deletion_timestamp is None]
        return Decision(
            actions=tuple(_delete_pod(pod) for pod in doomed),
            events=tuple(
                Event(EventType.NORMAL, "SuccessfulDelete", f"Deleted virtual machine pod {pod.metadata.name}")
                for pod in doomed
            ),
        )
    done = {VMI_FINALIZER}
    if not any(owner.controller and owner.kind == "VirtualMachine" for owner in vmi.metadata.owner_references):
        done.add(VM_FINALIZER)
    remaining = [name for name in vmi.metadata.finalizers if name not in done]
    status = _status(vmi)
    if status.get("phase") not in FINAL_PHASES:
        enter_phase(status, "Succeeded" if status.get("phase") == "Running" else "Failed", seen.now)
    difference = merge_diff(_status(vmi), status)
    if remaining == vmi.metadata.finalizers and not difference:
        return Decision()
    body: Status = {"metadata": {"resourceVersion": vmi.metadata.resource_version, "finalizers": remaining or None}}
    if difference:
        body["status"] = difference
    return Decision(actions=(PatchObject(VIRTUAL_MACHINE_INSTANCES, _key(vmi), Patch.merge(body)),))


# What the pod tells


def _current_pod(pods: tuple[Pod, ...]) -> Pod | None:
    """The pod that counts: one that is not over, else any."""
    return min(pods, key=lambda pod: (_is_over(pod), pod.metadata.name), default=None)


def _is_over(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def _runs(pod: Pod) -> bool:
    """The launcher runs; the readiness of `compute` is the guest's and comes later."""
    if pod.status.phase != "Running" or pod.metadata.deletion_timestamp is not None or not pod.spec.node_name:
        return False
    statuses = pod.status.container_statuses
    return bool(statuses) and all(
        item.state.running is not None if item.name == COMPUTE else item.ready for item in statuses
    )


def _time_for_handler(pod: Pod, now: datetime) -> timedelta | None:
    """How much longer virt-handler may take to tell how the guest ended; None when that time is over."""
    ends = [
        parse_time(item.state.terminated.finished_at)
        for item in pod.status.container_statuses
        if item.state.terminated is not None and item.state.terminated.finished_at
    ]
    if not ends:
        return None
    left = max(ends) + HANDLER_GRACE - now
    return left if left > timedelta() else None


def _first_facts(status: Status, vmi: VirtualMachineInstance) -> None:
    """What is known before the guest runs, and what the others replace once they know better."""
    spec = vmi.spec
    status.setdefault("guestOSInfo", {})
    status.setdefault("runtimeUser", 107)
    if "currentCPUTopology" not in status and spec.domain.cpu is not None:
        cpu = spec.domain.cpu
        status["currentCPUTopology"] = {
            "cores": cpu.cores or 1,
            "sockets": cpu.sockets or 1,
            "threads": cpu.threads or 1,
        }
    if "memory" not in status and (guest := guest_memory_bytes(spec)):
        amount = format_quantity(guest, binary=True)
        status["memory"] = {
            "guestAtBoot": amount,
            "guestCurrent": amount,
            "guestRequested": amount,
            "memoryOverhead": format_quantity(memory_overhead_bytes(spec), binary=True),
        }


def _pod_facts(status: Status, pod: Pod) -> None:
    if pod.status.qos_class:
        status["qosClass"] = pod.status.qos_class
    compute = next((item for item in pod.spec.containers if item.name == COMPUTE), None)
    if compute is not None and compute.image:
        status["launcherContainerImageVersion"] = compute.image
    if pod.spec.node_name:
        status["activePods"] = {**status.get("activePods", {}), pod.metadata.uid: pod.spec.node_name}


def _scheduling_conditions(status: Status, pod: Pod, now: datetime) -> None:
    scheduled = next((item for item in pod.status.conditions if item.type == "PodScheduled"), None)
    if scheduled is not None and scheduled.status == "False":
        set_condition(status, "PodScheduled", "False", now, reason=scheduled.reason, message=scheduled.message)
    else:
        remove_condition(status, "PodScheduled")
    waiting = [item.state.waiting for item in pod.status.container_statuses if item.state.waiting is not None]
    broken = next((item for item in waiting if item.reason in _IMAGE_ERRORS), None)
    if broken is not None:
        set_condition(status, "Synchronized", "False", now, reason=broken.reason, message=broken.message)
    elif (old := condition(status, "Synchronized")) is not None and old.get("reason") in _IMAGE_ERRORS:
        remove_condition(status, "Synchronized")


def _pod_missing(status: Status, now: datetime) -> None:
    set_condition(
        status,
        "Ready",
        "False",
        now,
        reason="PodNotExists",
        message="virt-launcher pod has not yet been scheduled",
    )


def _ready(status: Status, pod: Pod, now: datetime) -> None:
    """The guest counts as ready when it runs and its pod is ready."""
    ready = next((item for item in pod.status.conditions if item.type == "Ready"), None)
    if pod.metadata.deletion_timestamp is not None:
        reason, message = "PodTerminating", "virt-launcher pod is terminating"
    elif status["phase"] != "Running":
        reason, message = "GuestNotRunning", "Guest VM is not reported as running"
    elif ready is None:
        reason, message = "PodConditionMissing", "virt-launcher pod is missing the Ready condition"
    elif ready.status == "True":
        set_condition(status, "Ready", "True", now)
        return
    else:
        reason, message = ready.reason or "PodNotReady", ready.message or "virt-launcher pod is not ready"
    set_condition(status, "Ready", "False", now, reason=reason, message=message)


def _unpaused_gate(status: Status, pod: Pod, now: datetime) -> list[Action]:
    """Tell the pod's readiness gate whether the guest is paused, so that Services leave out paused guests."""
    paused = condition(status, "Paused")
    want = "False" if paused is not None and paused["status"] == "True" else "True"
    have = next((item.status for item in pod.status.conditions if item.type == UNPAUSED_GATE), None)
    if have == want or _is_over(pod):
        return []
    gate = {
        "type": UNPAUSED_GATE,
        "status": want,
        "reason": "Paused" if want == "False" else "NotPaused",
        "message": "the virtual machine is paused" if want == "False" else "the virtual machine is not paused",
        "lastTransitionTime": format_time(now),
    }
    patch = Patch(PatchType.STRATEGIC, {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [gate]}})
    return [PatchObject(PODS, Key(pod.metadata.namespace, pod.metadata.name), patch, "status")]


# Plumbing


def _status(vmi: VirtualMachineInstance) -> Status:
    status: Status = msgspec.to_builtins(vmi.status)
    return status


def _status_patch(vmi: VirtualMachineInstance, status: Status) -> StatusPatch:
    return StatusPatch(
        VIRTUAL_MACHINE_INSTANCES,
        _key(vmi),
        status,
        _status(vmi),
        # Conditions are one list with two writers.
        resource_version=vmi.metadata.resource_version,
    )


def _key(vmi: VirtualMachineInstance) -> Key:
    return Key(vmi.metadata.namespace, vmi.metadata.name)


def _delete_pod(pod: Pod) -> Delete:
    return Delete(PODS, Key(pod.metadata.namespace, pod.metadata.name), pod.metadata.uid)
