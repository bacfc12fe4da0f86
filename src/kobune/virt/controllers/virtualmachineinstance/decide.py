"""What to do about a VirtualMachineInstance: its launcher pod, its phase until virt-handler takes over, its end.

Who writes what of the status (docs/flows/instance.md): this controller moves `phase` from Pending to Scheduling and
Scheduled, and to a final phase when the pod is gone; virt-handler does everything between. The conditions Ready,
PodScheduled and Synchronized are this controller's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.core import PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import format_time
from kobune.kube.client.core import PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.merge import merge_diff
from kobune.kube.client.objects import controller_of
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch, PatchType
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch
from kobune.virt.controllers.conditions import condition, enter_phase, set_condition
from kobune.virt.controllers.virtualmachineinstance.hotplug import delete_attachments, plug
from kobune.virt.controllers.virtualmachineinstance.installation import forbidden_by
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import (
    POD_GRACE_MARGIN_S,
    UNPAUSED_GATE,
    PodSettings,
    grace_period_s,
    launcher_pod,
    launcher_pod_name,
)
from kobune.virt.controllers.virtualmachineinstance.networks import networks_of_running_pod
from kobune.virt.controllers.virtualmachineinstance.patience import may_wait_s
from kobune.virt.controllers.virtualmachineinstance.podview import (
    CLAIM_MISSING,
    POD_REFUSED,
    claim_facts,
    current_pod,
    ended_well,
    first_facts,
    has_ended,
    is_over,
    pod_facts,
    pod_missing,
    ready,
    runs,
    scheduling_conditions,
    time_for_handler,
    time_for_shutdown,
)
from kobune.virt.controllers.virtualmachineinstance.vm_state import create_state_claim
from kobune.virt.controllers.virtualmachineinstance.vsock import free_cid, wants_vsock
from kobune.virt.controllers.words import FINAL_PHASES, NODE_NAME_LABEL, VM_FINALIZER, VMI_FINALIZER
from kobune.virt.domain.bindings import binding_plugins
from kobune.virt.domain.persistence import has_persistent_state

__all__ = ["Observed", "decide", "status_of", "status_patch"]


Status = dict[str, Any]

NETWORK_RETRY: Final = timedelta(seconds=10)
"""How soon a network that was not there is asked for again."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One instance, the pods it controls, and the world around them."""

    vmi: VirtualMachineInstance
    pods: tuple[Pod, ...]
    now: datetime
    settings: PodSettings
    missing_claims: tuple[str, ...] = ()
    """Claims that its volumes name and that do not exist."""
    claims: Mapping[str, PersistentVolumeClaim] = field(default_factory=dict)
    """Those that do, by name."""
    attachments: tuple[Pod, ...] = ()
    """The pods that hold plugged volumes for its pods."""
    taken_cids: frozenset[int] = frozenset()
    """Context ids of other instances, for one that wants its own."""
    missing_networks: tuple[str, ...] = ()
    """Definitions of networks that SR-IOV interfaces are on and that do not exist, as `NAMESPACE/NAME`."""
    has_state_claim: bool = False
    """The claim of the guest's own state exists."""


def decide(seen: Observed) -> Decision[Action]:
    """The next step of an instance."""
    if seen.vmi.metadata.deletion_timestamp is not None:
        return _delete(seen)
    phase = seen.vmi.status.phase or "Pending"
    if phase in FINAL_PHASES:
        return _after_end(seen)
    pod = current_pod(seen.pods)
    if pod is None:
        return _without_pod(seen, phase)
    return _with_pod(seen, phase, pod)


def _without_pod(seen: Observed, phase: str) -> Decision[Action]:
    vmi = seen.vmi
    if phase not in ("Pending", "WaitingForSync"):
        status = status_of(vmi)
        enter_phase(status, "Failed", seen.now)
        set_condition(
            status, "Ready", "False", seen.now, reason="PodNotExists", message="virt-launcher pod has disappeared"
        )
        return Decision(
            status=status_patch(vmi, status),
            events=(Event(EventType.WARNING, "PodDisappeared", "The virt-launcher pod was deleted by somebody else"),),
        )
    if vmi.metadata.annotations.get("kubevirt.io/wait-as-receiver") == "true":
        status = status_of(vmi)
        pod_missing(status, seen.now)
        return Decision(status=status_patch(vmi, status))
    if seen.missing_claims:
        return _without_claims(seen)
    if seen.missing_networks:
        name = seen.missing_networks[0]
        why = f"failed to locate network attachment definition {name}"
        return _not_rendered(seen, why, again_after=NETWORK_RETRY)
    if forbidden := forbidden_by(vmi.spec, seen.settings.configuration):
        return _not_rendered(seen, forbidden)
    pod = launcher_pod(vmi, seen.settings)
    actions: tuple[Action, ...] = (Create(PODS, vmi.metadata.namespace, pod, vmi.metadata.uid),)
    if has_persistent_state(vmi.spec.domain) and not seen.has_state_claim:
        actions = (create_state_claim(vmi, seen.settings.state_storage_class), *actions)
    return Decision(
        actions=actions,
        events=(Event(EventType.NORMAL, "SuccessfulCreate", f"Created virtual machine pod {launcher_pod_name(vmi)}"),),
    )


def _without_claims(seen: Observed) -> Decision[Action]:
    """A pod would wait for its claims without a word; the instance says which are missing, and is looked at again
    when one appears."""
    status = status_of(seen.vmi)
    names = ", ".join(f"{seen.vmi.metadata.namespace}/{name}" for name in seen.missing_claims)
    message = f"PersistentVolumeClaim {names} does not exist; create it, or wait for its DataVolume"
    enter_phase(status, "Pending", seen.now)
    set_condition(status, "Synchronized", "False", seen.now, reason=CLAIM_MISSING, message=message)
    pod_missing(status, seen.now)
    told = condition(status_of(seen.vmi), "Synchronized")
    events = () if told is not None else (Event(EventType.WARNING, CLAIM_MISSING, message),)
    return Decision(status=status_patch(seen.vmi, status), events=events)


def _not_rendered(seen: Observed, why: str, again_after: timedelta | None = None) -> Decision[Action]:
    """There can be no pod as the installation is; looked at again when that changes, or after that time."""
    status = status_of(seen.vmi)
    message = f"failed to render launch manifest: {why}"
    enter_phase(status, "Pending", seen.now)
    told = condition(status, "Synchronized")
    news = told is None or told.get("message") != message
    set_condition(status, "Synchronized", "False", seen.now, reason=POD_REFUSED, message=message)
    pod_missing(status, seen.now)
    events = (Event(EventType.WARNING, POD_REFUSED, message),) if news else ()
    return Decision(status=status_patch(seen.vmi, status), events=events, requeue_after=again_after)


def _with_pod(seen: Observed, phase: str, pod: Pod) -> Decision[Action]:
    vmi, now = seen.vmi, seen.now
    status = status_of(vmi)
    first_facts(status, vmi, pod)
    pod_facts(status, pod)
    claim_facts(status, vmi, seen.claims)
    if wants_vsock(vmi.spec) and "VSOCKCID" not in status:
        status["VSOCKCID"] = free_cid(vmi.metadata.uid, seen.taken_cids)
    actions: list[Action] = []
    events: list[Event] = []
    requeue_after = None
    if phase == "Pending":
        phase = "Scheduling"
        enter_phase(status, phase, now)
    if is_over(pod):
        if phase == "Running":
            requeue_after = time_for_handler(pod, now)
        if requeue_after is None:
            # Before the handover only a failure can end the pod; after it, virt-handler had its chance.
            succeeded = phase == "Running" and ended_well(pod)
            enter_phase(status, "Succeeded" if succeeded else "Failed", now)
    elif phase == "Scheduling" and runs(pod):
        enter_phase(status, "Scheduled", now)
        status["nodeName"] = pod.spec.node_name
    if is_over(pod):
        actions += delete_attachments(seen.attachments)
    elif pod.metadata.deletion_timestamp is None:
        held = [item for item in seen.attachments if _controlled_by(item, pod)]
        more, events = plug(status, vmi, pod, held, seen.claims)
        actions += more
    scheduling_conditions(status, pod, now)
    ready(status, pod, now)
    if pod.spec.node_name:
        # Before the pod runs, so that its kubelet finds the gate and tells "running" and "ready" in one word.
        actions += _unpaused_gate(status, pod, now)
        if not is_over(pod):
            actions += networks_of_running_pod(vmi, pod, binding_plugins(seen.settings.configuration))
    if status["phase"] == "Scheduled" and vmi.metadata.labels.get(NODE_NAME_LABEL) != pod.spec.node_name:
        # Label and status in one write, so that virt-handler never sees one without the other.
        body: Status = {
            "metadata": {
                "resourceVersion": vmi.metadata.resource_version,
                "labels": {NODE_NAME_LABEL: pod.spec.node_name},
            },
            "status": merge_diff(status_of(vmi), status),
        }
        actions.append(PatchObject(VIRTUAL_MACHINE_INSTANCES, _key(vmi), Patch.merge(body)))
        return Decision(actions=tuple(actions), events=tuple(events), requeue_after=requeue_after)
    return Decision(
        actions=tuple(actions),
        status=status_patch(vmi, status),
        events=tuple(events),
        requeue_after=requeue_after,
    )


def _after_end(seen: Observed) -> Decision[Action]:
    """The guest has ended and nobody deletes the instance: a pod that still runs is of no use."""
    vmi = seen.vmi
    status = status_of(vmi)
    pod = current_pod(seen.pods)
    if pod is not None:
        pod_facts(status, pod)
        ready(status, pod, seen.now)
    else:
        pod_missing(status, seen.now)
    actions: tuple[Action, ...] = tuple(
        _delete_pod(pod) for pod in seen.pods if pod.metadata.deletion_timestamp is None and not has_ended(pod)
    )
    if all(is_over(pod) for pod in seen.pods):
        actions = (*actions, *delete_attachments(seen.attachments))
    return Decision(actions=actions, status=status_patch(vmi, status))


def _delete(seen: Observed) -> Decision[Action]:
    """Pods first (their launcher shuts the guest down), then a final phase and the finalizer."""
    vmi = seen.vmi
    if seen.pods:
        waits = {pod.metadata.uid: time_for_shutdown(vmi, pod, seen.now) for pod in seen.pods}
        doomed = [
            pod for pod in seen.pods if pod.metadata.deletion_timestamp is None and waits[pod.metadata.uid] is None
        ]
        deletions = [_delete_pod(pod, _shortened_grace_s(vmi, pod)) for pod in doomed]
        for pod in seen.pods:
            grace_s = _shortened_grace_s(vmi, pod)
            if (
                pod.metadata.deletion_timestamp is not None
                and grace_s is not None
                and (pod.metadata.deletion_grace_period_seconds or 0) > grace_s
            ):
                deletions.append(_delete_pod(pod, grace_s))
        return Decision(
            actions=tuple(deletions),
            events=tuple(
                Event(EventType.NORMAL, "SuccessfulDelete", f"Deleted virtual machine pod {pod.metadata.name}")
                for pod in doomed
                if not is_over(pod)
            ),
            requeue_after=min((wait for wait in waits.values() if wait is not None), default=None),
        )
    done = {VMI_FINALIZER}
    if not any(owner.controller and owner.kind == "VirtualMachine" for owner in vmi.metadata.owner_references):
        done.add(VM_FINALIZER)
    remaining = [name for name in vmi.metadata.finalizers if name not in done]
    status = status_of(vmi)
    if status.get("phase") not in FINAL_PHASES:
        enter_phase(status, "Succeeded" if status.get("phase") == "Running" else "Failed", seen.now)
    difference = merge_diff(status_of(vmi), status)
    if remaining == vmi.metadata.finalizers and not difference:
        return Decision()
    body: Status = {"metadata": {"resourceVersion": vmi.metadata.resource_version, "finalizers": remaining or None}}
    if difference:
        body["status"] = difference
    return Decision(actions=(PatchObject(VIRTUAL_MACHINE_INSTANCES, _key(vmi), Patch.merge(body)),))


def _unpaused_gate(status: Status, pod: Pod, now: datetime) -> list[Action]:
    """Tell the pod's readiness gate whether the guest is paused, so that Services leave out paused guests."""
    paused = condition(status, "Paused")
    want = "False" if paused is not None and paused["status"] == "True" else "True"
    have = next((item.status for item in pod.status.conditions if item.type == UNPAUSED_GATE), None)
    if have == want or is_over(pod):
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


def status_of(vmi: VirtualMachineInstance) -> Status:
    status: Status = msgspec.to_builtins(vmi.status)
    return status


def _controlled_by(item: Pod, launcher: Pod) -> bool:
    """Whether a pod that holds a volume does so for that launcher pod."""
    owner = controller_of(item)
    return owner is not None and owner.uid == launcher.metadata.uid


def status_patch(vmi: VirtualMachineInstance, status: Status) -> StatusPatch:
    before = status_of(vmi)
    return StatusPatch(
        VIRTUAL_MACHINE_INSTANCES,
        _key(vmi),
        status,
        before,
        # Conditions are one list with two writers.
        resource_version=vmi.metadata.resource_version,
        may_wait_s=may_wait_s(before, status),
    )


def _key(vmi: VirtualMachineInstance) -> Key:
    return Key(vmi.metadata.namespace, vmi.metadata.name)


def _shortened_grace_s(vmi: VirtualMachineInstance, pod: Pod) -> int | None:
    """The time to shut down when it is shorter than the one the pod was made with; None for the pod's own.

    Never 0: the kubelet would not wait for the launcher at all, and the object would go before the processes do.
    """
    asked = grace_period_s(vmi.spec)
    given = pod.spec.termination_grace_period_seconds
    return max(asked, 1) if given is not None and asked + POD_GRACE_MARGIN_S < given else None


def _delete_pod(pod: Pod, grace_s: int | None = None) -> Delete:
    return Delete(PODS, Key(pod.metadata.namespace, pod.metadata.name), pod.metadata.uid, grace_period_s=grace_s)
