"""What to do for one instance on this node. Pure.

virt-controller hands an instance over by phase Scheduled and the label kubevirt.io/nodeName; from then on its phase is
virt-handler's. The pod, the finalizers and the Ready condition stay virt-controller's. A guest ends by itself, or
because the instance is being deleted, and by nothing else: a launcher that does not answer is waited for.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from kobune.base.clock import format_time, parse_time
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.merge import merge_diff
from kobune.kube.client.objects import key_of, to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Decision, Event, EventType, PatchObject, StatusPatch
from kobune.virt.domain.networks import pod_interface, sriov_pairs
from kobune.virt.handler.hotplug.dump import next_dump
from kobune.virt.handler.hotplug.plan import VolumePlan, awaited, capacities, plan_volumes, unsized
from kobune.virt.handler.hotplug.status import plugging_events
from kobune.virt.handler.instance.actions import (
    DeliverVolumes,
    DumpMemory,
    Follow,
    Forget,
    HandlerAction,
    Kill,
    NoteShutdownTold,
    PrepareNetwork,
    PruneNetwork,
    Shutdown,
    Start,
    SynchronizeInterfaces,
    SynchronizeVolumes,
)
from kobune.virt.handler.instance.interfaces import interface_work
from kobune.virt.handler.instance.observed import LauncherPod, LauncherView, Observed
from kobune.virt.handler.instance.status import ended_status, running_status, unsynchronized_status, volume_entries
from kobune.virt.launcherproto.messages import DomainState, DomainStatus

__all__ = ["DEFAULT_GRACE_S", "decide"]

DEFAULT_GRACE_S: Final = 30.0
ANSWER_S: Final = 30.0
"""How long a launcher may take to answer for the first time before its silence is told; it is waited for anyway."""
VOLUMES_S: Final = 20.0
"""How long a start waits for volumes that other pods bring; those that come later are plugged in."""
SLOW_S: Final = 5.0
"""How long a guest may take to power off before people are told that it does."""
AGENT_S: Final = 1.0
"""What a guest agent says of its guest is there a fraction of a second after the agent itself."""
OVERDUE_S: Final = 15.0
"""How long the launcher may be late with destroying a guest before it is told to."""

D = DomainStatus
_ALIVE = (D.RUNNING, D.PAUSED, D.SHUTTING_DOWN)


def decide(seen: Observed) -> Decision[HandlerAction]:
    """The next step for the instance."""
    key, phase = key_of(seen.vmi), seen.vmi.status.phase
    if phase not in ("Scheduled", "Running"):
        # Final, or not handed over (yet): nothing of it is ours.
        return Decision((Forget(key),) if seen.launcher is not None else ())
    state = seen.launcher.state if seen.launcher is not None else None
    if state is not None and state.status is D.ENDED:
        return _ended(seen, key, state)
    if seen.pod is None or seen.pod.finished:
        return _vanished(seen, key, seen.pod)
    if seen.launcher is None:
        return Decision((Follow(key, seen.pod.uid, seen.vmi.metadata.uid),))
    if state is None or not seen.launcher.connected:
        return _unanswered(seen, key, seen.pod)
    if seen.vmi.metadata.deletion_timestamp is not None:
        return _deleting(seen, key, seen.launcher, state)
    if state.status is D.NONE:
        return _starting(seen, key, seen.pod, seen.launcher)
    return _running(seen, key, seen.pod, seen.launcher, state)


def _unanswered(seen: Observed, key: Key, pod: LauncherPod) -> Decision[HandlerAction]:
    """The line comes back, or the pod ends: both bring the key here again. A launcher that never answered is told."""
    if seen.vmi.status.phase != "Scheduled":
        return Decision()
    left = _handed_over(seen) + timedelta(seconds=ANSWER_S) - seen.now
    if left > timedelta():
        return Decision(requeue_after=left)
    message = f"the launcher in pod {pod.name} does not answer; its log may say why: kubectl logs {pod.name}"
    patch = _patch(seen, key, unsynchronized_status(seen, message))
    return Decision(patch, events=(Event(EventType.WARNING, "SyncFailed", message),) if patch else ())


def _handed_over(seen: Observed) -> datetime:
    for transition in reversed(seen.vmi.status.phase_transition_timestamps):
        if transition.phase == "Scheduled" and transition.phase_transition_timestamp:
            return parse_time(transition.phase_transition_timestamp)
    return seen.now


def _starting(seen: Observed, key: Key, pod: LauncherPod, launcher: LauncherView) -> Decision[HandlerAction]:
    setback = launcher.setback
    if launcher.busy:
        return Decision()
    if (wait := _volumes_before_start(seen, key)) is not None:
        return wait
    plugged = tuple(sorted(seen.volumes.given)) if seen.volumes is not None else ()
    addresses = {one.interface: one.pci for one in pod.attached if one.pci}
    wanted = [(interface.name, pod_interface(network)) for interface, network in sriov_pairs(seen.vmi.spec)]
    if missing := next((name for name, inside in wanted if inside not in addresses), None):
        # The pod's network-status tells it, which brings the key here again.
        message = f"interface {missing}: the pod's network-status names no SR-IOV device for it yet"
        return Decision(_patch(seen, key, unsynchronized_status(seen, message)))
    sriov = tuple((name, addresses[inside]) for name, inside in wanted)
    if setback is None:
        return Decision((Start(key, seen.vmi, pod.image, plugged, sriov),))
    if setback.terminal:
        # The specification of an instance can't change. The launcher ends before the phase says so: no pod is left.
        failed = _patch(seen, key, ended_status(seen, crashed=True, message=setback.message))
        event = Event(EventType.WARNING, "SyncFailed", setback.message)
        return Decision((Shutdown(key, 0), *failed), events=(event,))
    patch = _patch(seen, key, unsynchronized_status(seen, setback.message))
    told = (Event(EventType.WARNING, "SyncFailed", setback.message),) if patch else ()
    if left := setback.left(seen.now):
        return Decision(patch, events=told, requeue_after=left)
    return Decision((*patch, Start(key, seen.vmi, pod.image, plugged, sriov)), events=told)


def _volumes_before_start(seen: Observed, key: Key) -> Decision[HandlerAction] | None:
    """Volumes to be plugged in are there when the guest starts, if they come within a while: it may boot from one.

    The same for the sizes of claims: a disk that is made without knowing its claim's size is as large as the node.
    """
    left = _handed_over(seen) + timedelta(seconds=VOLUMES_S) - seen.now
    if left <= timedelta():
        return None
    if unsized(seen.vmi):
        return Decision(requeue_after=left)
    if seen.volumes is None or not awaited(seen.vmi, seen.volumes):
        return None
    plan = plan_volumes(seen.vmi, seen.volumes, [], capacities(seen.vmi))
    actions = (DeliverVolumes(key, VolumePlan(bring=plan.bring)),) if plan.bring else ()
    return Decision(actions, requeue_after=left)


def _running(
    seen: Observed, key: Key, pod: LauncherPod, launcher: LauncherView, state: DomainState
) -> Decision[HandlerAction]:
    actions: tuple[HandlerAction, ...] = ()
    events: tuple[Event, ...] = ()
    wait = None
    if not launcher.network_ready and not launcher.busy:
        # A handler before us has started the guest; what serves its network may have died with the node's processes.
        setback = launcher.setback
        wait = setback.left(seen.now) if setback is not None else None
        if not wait:
            wait, actions = None, (PrepareNetwork(key, seen.vmi),)
        if setback is not None and wait is not None:
            events = (Event(EventType.WARNING, "NetworkNotReady", setback.message),)
    if state.status not in _ALIVE:
        return Decision(actions, events=events, requeue_after=wait)
    if not actions:
        volume_actions, again = _volumes(seen, key, launcher, state)
        actions += volume_actions
        wait = min((each for each in (wait, again) if each is not None), default=None)
    if not actions and wait is None:
        actions, wait, trouble = _interfaces(seen, key, pod, launcher, state)
        events += trouble
    told = (*_start_events(seen, state), *events, *_volume_events(seen, state))
    status = _status_patch(seen, key, running_status(seen, pod, state), state)
    if told:
        # What is told is judged by the status: it must not be told again because that waits.
        status = replace(status, may_wait_s=0.0)
    return Decision(actions, status=status, events=told, requeue_after=wait)


def _volumes(
    seen: Observed, key: Key, launcher: LauncherView, state: DomainState
) -> tuple[tuple[HandlerAction, ...], timedelta | None]:
    """The next step for volumes that come, go or have grown; after a setback not before its time."""
    if seen.volumes is None or state.status is D.SHUTTING_DOWN:
        return (), None
    plan = plan_volumes(seen.vmi, seen.volumes, state.disks, launcher.capacities)
    if launcher.busy:
        return (), None
    if not plan.has_work:
        dump = next_dump(seen.vmi, seen.volumes, launcher.dumps, seen.now)
        return ((DumpMemory(key, *dump),) if dump is not None else ()), None
    if launcher.setback is not None and (left := launcher.setback.left(seen.now)):
        return (), left
    return (SynchronizeVolumes(key, seen.vmi, plan),), None


def _interfaces(
    seen: Observed, key: Key, pod: LauncherPod, launcher: LauncherView, state: DomainState
) -> tuple[tuple[HandlerAction, ...], timedelta | None, tuple[Event, ...]]:
    """The next step for interfaces that come, go or change their link; after a setback not before its time."""
    work = interface_work(seen.vmi, pod, state, launcher.pruned)
    if state.status is D.SHUTTING_DOWN or launcher.busy or not (work.change or work.left):
        return (), None, ()
    setback = launcher.setback
    if setback is not None and setback.again_at > seen.now:
        event = Event(EventType.WARNING, "FailedInterfaceSync", setback.message)
        return (), setback.again_at - seen.now, (event,) if setback.terminal else ()
    if work.change:
        return (SynchronizeInterfaces(key, seen.vmi),), None, ()
    return (PruneNetwork(key, seen.vmi, work.left),), None, ()


def _volume_events(seen: Observed, state: DomainState) -> tuple[Event, ...]:
    before = {found.name: to_builtins(found) for found in seen.vmi.status.volume_status}
    after = {entry["name"]: entry for entry in volume_entries(seen, state)}
    return tuple(Event(EventType.NORMAL, *told) for told in plugging_events(before, after))


def _deleting(seen: Observed, key: Key, launcher: LauncherView, state: DomainState) -> Decision[HandlerAction]:
    asked_at = parse_time(seen.vmi.metadata.deletion_timestamp or "")
    grace_s = grace_of(seen)
    deadline = asked_at + timedelta(seconds=grace_s)
    left_s = max(0.0, (deadline - seen.now).total_seconds())
    if launcher.shutdown_grace_s is None or grace_s < launcher.shutdown_grace_s:
        # A guest that does not end soon, or this line, must be looked at again.
        return Decision((Shutdown(key, left_s),), requeue_after=_after(min(SLOW_S, left_s + OVERDUE_S)))
    if not launcher.shutdown_told and state.status in _ALIVE:
        slow_at = asked_at + timedelta(seconds=SLOW_S)
        if seen.now < slow_at:
            return Decision(requeue_after=slow_at - seen.now)
        message = f"Signaled graceful shutdown; the guest is given until {format_time(deadline)}"
        event = Event(EventType.NORMAL, "ShuttingDown", message)
        return Decision((NoteShutdownTold(key),), events=(event,), requeue_after=_after(left_s + OVERDUE_S))
    overdue_at = deadline + timedelta(seconds=OVERDUE_S)
    if seen.now < overdue_at:
        return Decision(requeue_after=overdue_at - seen.now)
    return Decision((Kill(key),), requeue_after=_after(OVERDUE_S))


def _ended(seen: Observed, key: Key, state: DomainState) -> Decision[HandlerAction]:
    exit_info = state.exit
    crashed = exit_info is not None and exit_info.crashed
    message = (exit_info.message if exit_info is not None else "") or state.last_error
    return _final(seen, key, crashed=crashed, message=message)


def _vanished(seen: Observed, key: Key, pod: LauncherPod | None) -> Decision[HandlerAction]:
    """The launcher's last word was missed; its container's exit status says the same (docs/flows/launcher.md)."""
    if pod is not None and pod.exit_code is not None:
        return _final(seen, key, crashed=pod.exit_code != 0, message=pod.message)
    deleted = seen.vmi.metadata.deletion_timestamp is not None
    return _final(seen, key, crashed=not deleted, message="the launcher pod is gone, and the guest with it")


def _final(seen: Observed, key: Key, *, crashed: bool, message: str) -> Decision[HandlerAction]:
    # Who asked for the end of a guest, and gets it within moments, sees it: the instance goes.
    slow = seen.launcher is not None and seen.launcher.shutdown_told
    events: tuple[Event, ...] = ()
    if crashed:
        text = f"The VirtualMachineInstance crashed: {message or 'no reason known'}"
        events = (Event(EventType.WARNING, "Stopped", text),)
    elif slow or seen.vmi.metadata.deletion_timestamp is None:
        events = (Event(EventType.NORMAL, "Stopped", "The VirtualMachineInstance was shut down."),)
    patch = _patch(seen, key, ended_status(seen, crashed=crashed, message=message))
    forget: tuple[HandlerAction, ...] = (Forget(key),) if seen.launcher is not None else ()
    # The phase is written before the line is given up: a crash in between is repeated from the exit status.
    return Decision((*patch, *forget), events=events)


def _start_events(seen: Observed, state: DomainState) -> tuple[Event, ...]:
    if seen.vmi.status.phase == "Running":
        return ()
    events = [Event(EventType.NORMAL, "Started", "VirtualMachineInstance started.")]
    if not state.kvm:
        events.append(
            Event(
                EventType.WARNING,
                "SoftwareEmulation",
                f"KVM does not work on node {seen.node}: the guest runs in software emulation (TCG), which is slow. "
                "Use a node with hardware virtualization.",
            )
        )
    return tuple(events)


def _patch(seen: Observed, key: Key, status: dict[str, object]) -> tuple[PatchObject, ...]:
    """The status as a conditional patch: lists in it have several writers."""
    difference = merge_diff(to_builtins(seen.vmi.status), status)
    if not difference:
        return ()
    body = {"metadata": {"resourceVersion": seen.vmi.metadata.resource_version}, "status": difference}
    return (PatchObject(VIRTUAL_MACHINE_INSTANCES, key, Patch.merge(body)),)


def _status_patch(seen: Observed, key: Key, status: dict[str, object], state: DomainState) -> StatusPatch:
    """The status of a guest that runs. That its agent came waits a moment for the agent's first answers."""
    speechless = state.agent_connected and not state.agent_version
    told = {item.type for item in seen.vmi.status.conditions}
    paused = ("Paused" in told) != (state.status is D.PAUSED)
    waits = speechless and "AgentConnected" not in told and seen.vmi.status.phase == "Running" and not paused
    return StatusPatch(
        VIRTUAL_MACHINE_INSTANCES,
        key,
        status,
        to_builtins(seen.vmi.status),
        resource_version=seen.vmi.metadata.resource_version,
        may_wait_s=AGENT_S if waits else 0.0,
    )


def grace_of(seen: Observed) -> float:
    """How long the guest may take to power off, in seconds."""
    asked = seen.vmi.spec.termination_grace_period_seconds
    return DEFAULT_GRACE_S if asked is None else max(0.0, float(asked))


def _after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
