"""The pod's status from what its containers do. Pure.

Source: fields, reasons and messages of core/v1 PodStatus as kubelets fill them; conditions that others own are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from kobune.api.core import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)
from kobune.base.clock import format_time
from kobune.embedded.kubelet.model import ImageViewState, PodObserved, is_sidecar
from kobune.embedded.kubelet.pulling import IMAGE_REASONS
from kobune.embedded.kubelet.qos import qos_class
from kobune.host.cri.types import ContainerInfo
from kobune.host.cri.types import ContainerState as RuntimeState

__all__ = ["CRASH_LOOP", "Verdict", "encode_status", "may_wait_s", "pod_status", "status_patch"]

CRASH_LOOP = "CrashLoopBackOff"
CREATING = "ContainerCreating"
INITIALIZING = "PodInitializing"
STARTING_S = 1.0
_OWNED_FIELDS = ("reason", "message", "hostIP", "hostIPs", "podIP", "podIPs", "containerStatuses")
OWNED_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The pod ends or has ended: `phase` Succeeded or Failed, or empty when a deletion ends it."""

    phase: str
    reason: str
    message: str


def pod_status(seen: PodObserved, verdict: Verdict | None, waiting: Mapping[str, tuple[str, str]]) -> PodStatus:
    """The whole status. `waiting` gives the reason and message of containers that wait for a known reason."""
    pod = seen.pod
    assert pod is not None, "an orphan has no status"
    inits = [_container_status(seen, pod, container, waiting, init=True) for container in pod.spec.init_containers]
    mains = [_container_status(seen, pod, container, waiting, init=False) for container in pod.spec.containers]
    debugging = [_container_status(seen, pod, own, waiting, init=False) for own in pod.spec.ephemeral_containers]
    phase = _phase(pod, verdict, inits, mains)
    if verdict is not None and verdict.phase and not _any_running(seen):
        inits = [_settled(status) for status in inits]
        mains = [_settled(status) for status in mains]
    ips = _pod_ips(seen, pod)
    return PodStatus(
        phase=phase,
        reason=verdict.reason if verdict else "",
        message=verdict.message if verdict else "",
        conditions=_conditions(seen, pod, phase, inits, mains),
        host_ip=seen.host_ip,
        host_ips=[HostIP(ip=seen.host_ip)] if seen.host_ip else [],
        pod_ip=ips[0] if ips else "",
        pod_ips=[PodIP(ip=ip) for ip in ips],
        start_time=pod.status.start_time or format_time(seen.now),
        qos_class=pod.status.qos_class or qos_class(pod),
        nominated_node_name=pod.status.nominated_node_name,
        init_container_statuses=inits,
        container_statuses=mains,
        ephemeral_container_statuses=debugging,
        observed_generation=pod.metadata.generation if pod.status.observed_generation else 0,
    )


def _phase(pod: Pod, verdict: Verdict | None, inits: list[ContainerStatus], mains: list[ContainerStatus]) -> str:
    if verdict is not None and verdict.phase:
        return verdict.phase
    if verdict is not None and pod.metadata.deletion_timestamp is not None and mains:
        ended = [status.state.terminated for status in mains]
        if all(state is not None for state in ended):
            # A deleted pod is not restarted: what its containers left behind is its result.
            return "Succeeded" if all(state is not None and state.exit_code == 0 for state in ended) else "Failed"
    pending_inits = [
        status
        for container, status in zip(pod.spec.init_containers, inits, strict=True)
        if not _init_passed(container, status)
    ]
    begun = any(status.state.running or status.state.terminated or status.restart_count for status in mains)
    if pending_inits and not begun:
        return "Pending"
    never_started = [status for status in mains if status.state.waiting and not status.last_state.terminated]
    return "Pending" if never_started else "Running"


def _init_passed(container: Container, status: ContainerStatus) -> bool:
    if is_sidecar(container):
        return bool(status.started)
    return status.state.terminated is not None and status.state.terminated.exit_code == 0


def _any_running(seen: PodObserved) -> bool:
    return any(container.state is RuntimeState.RUNNING for container in seen.containers)


def _settled(status: ContainerStatus) -> ContainerStatus:
    """A container that never ran stays waiting in a pod that has ended, and is not ready."""
    if status.state.terminated is not None or status.last_state.terminated is None:
        return status
    return ContainerStatus(
        name=status.name,
        state=status.last_state,
        restart_count=status.restart_count,
        image=status.image,
        image_id=status.image_id,
        container_id=status.container_id,
        started=False,
    )


def _container_status(
    seen: PodObserved, pod: Pod, container: Container, waiting: Mapping[str, tuple[str, str]], *, init: bool
) -> ContainerStatus:
    latest = seen.latest(container.name)
    previous = seen.previous(container.name)
    probe = seen.memory.probes.get(container.name)
    started = ready = False
    last_state = ContainerState()
    reason = waiting.get(container.name)
    if latest is None:
        known = next(
            (
                status
                for status in [
                    *pod.status.init_container_statuses,
                    *pod.status.container_statuses,
                    *pod.status.ephemeral_container_statuses,
                ]
                if status.name == container.name
            ),
            None,
        )
        if known is not None and known.state.terminated is not None:
            # Its container is gone, its result is not.
            return known
        default = INITIALIZING if not init and pod.spec.init_containers else CREATING
        view = seen.memory.images.get(container.name)
        if reason is None and view is not None and view.state is ImageViewState.FAILED:
            reason = (view.reason, view.message)
        problem = seen.memory.problems.get("")
        if reason is None and problem is not None and problem.reason in IMAGE_REASONS and _mounts_image(pod, container):
            reason = (problem.reason, problem.message)
        state = _waiting(reason or (default, ""))
    elif latest.state is RuntimeState.RUNNING:
        state = ContainerState(running=ContainerStateRunning(started_at=_rfc3339(latest.started_at_ns)))
        started = probe is None or probe.started
        ready = started and (probe is None or probe.ready)
        if init and not is_sidecar(container):
            started, ready = True, False
    elif latest.state is RuntimeState.EXITED:
        ended = _terminated(seen, latest)
        if reason is not None:
            state, last_state = _waiting(reason), ended
        else:
            state = ended
        ready = init and not is_sidecar(container) and latest.exit_code == 0
    elif latest.state is RuntimeState.UNKNOWN:
        state = ContainerState(
            terminated=ContainerStateTerminated(
                exit_code=137,
                reason="ContainerStatusUnknown",
                message="The container could not be located when the pod was terminated",
                container_id=_container_id(latest),
            )
        )
    else:
        state = _waiting(reason or (CREATING, ""))
    if last_state == ContainerState() and previous is not None and previous.state is RuntimeState.EXITED:
        last_state = _terminated(seen, previous)
    return ContainerStatus(
        name=container.name,
        state=state,
        last_state=last_state,
        ready=ready,
        restart_count=0 if latest is None else latest.attempt,
        image=container.image,
        image_id="" if latest is None else latest.image_ref,
        container_id="" if latest is None else _container_id(latest),
        started=started,
    )


def _waiting(reason: tuple[str, str]) -> ContainerState:
    return ContainerState(waiting=ContainerStateWaiting(reason=reason[0], message=reason[1]))


def _terminated(seen: PodObserved, ended: ContainerInfo) -> ContainerState:
    reason = ended.reason or ("Completed" if ended.exit_code == 0 else "Error")
    return ContainerState(
        terminated=ContainerStateTerminated(
            exit_code=ended.exit_code,
            reason=reason,
            message=seen.memory.termination_messages.get(ended.id, "") or ended.message,
            started_at=_rfc3339(ended.started_at_ns),
            finished_at=_rfc3339(ended.finished_at_ns),
            container_id=_container_id(ended),
        )
    )


def _container_id(container: ContainerInfo) -> str:
    return f"containerd://{container.id}"


def _rfc3339(nanoseconds: int) -> str | None:
    if nanoseconds <= 0:
        return None
    return format_time(datetime.fromtimestamp(nanoseconds / 1e9, UTC))


def _pod_ips(seen: PodObserved, pod: Pod) -> list[str]:
    if pod.spec.host_network:
        return [seen.host_ip] if seen.host_ip and seen.sandboxes else []
    for sandbox in seen.sandboxes:
        if sandbox.ips:
            return list(sandbox.ips)
    return [ip.ip for ip in pod.status.pod_ips]


def _conditions(
    seen: PodObserved, pod: Pod, phase: str, inits: list[ContainerStatus], mains: list[ContainerStatus]
) -> list[PodCondition]:
    ended = phase in ("Succeeded", "Failed")
    sandbox_ready = bool(seen.sandboxes) and seen.sandboxes[0].ready and not (ended and not _any_running(seen))
    incomplete = [
        status.name
        for container, status in zip(pod.spec.init_containers, inits, strict=True)
        if not _init_passed(container, status)
    ]
    sidecars = [
        status for container, status in zip(pod.spec.init_containers, inits, strict=True) if is_sidecar(container)
    ]
    unready = [status.name for status in [*mains, *sidecars] if not status.ready]
    wanted: list[PodCondition] = [_condition("PodReadyToStartContainers", sandbox_ready)]
    if incomplete and not ended:
        message = f"containers with incomplete status: [{' '.join(incomplete)}]"
        wanted.append(_condition("Initialized", False, "ContainersNotInitialized", message))
    elif phase == "Succeeded":
        wanted.append(_condition("Initialized", True, "PodCompleted"))
    else:
        wanted.append(_condition("Initialized", not incomplete))
    wanted += _ready_conditions(pod, phase, unready)
    kept = {condition.type: condition for condition in pod.status.conditions}
    wanted.append(kept.get("PodScheduled") or _condition("PodScheduled", True))
    result = [_with_time(condition, kept.get(condition.type), seen.now) for condition in wanted]
    return result + [condition for condition in pod.status.conditions if condition.type not in OWNED_CONDITIONS]


def _ready_conditions(pod: Pod, phase: str, unready: list[str]) -> list[PodCondition]:
    if phase == "Succeeded":
        return [_condition("Ready", False, "PodCompleted"), _condition("ContainersReady", False, "PodCompleted")]
    if phase == "Failed":
        return [_condition("Ready", False, "PodFailed"), _condition("ContainersReady", False, "PodFailed")]
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return [
            _condition("Ready", False, "ContainersNotReady", message),
            _condition("ContainersReady", False, "ContainersNotReady", message),
        ]
    true_conditions = {condition.type for condition in pod.status.conditions if condition.status == "True"}
    missing = [gate.condition_type for gate in pod.spec.readiness_gates if gate.condition_type not in true_conditions]
    if missing:
        message = "; ".join(
            f'corresponding condition of pod readiness gate "{gate}" does not exist.' for gate in missing
        )
        return [_condition("Ready", False, "ReadinessGatesNotReady", message), _condition("ContainersReady", True)]
    return [_condition("Ready", True), _condition("ContainersReady", True)]


def _condition(kind: str, status: bool, reason: str = "", message: str = "") -> PodCondition:
    return PodCondition(type=kind, status="True" if status else "False", reason=reason, message=message)


def _with_time(condition: PodCondition, before: PodCondition | None, now: datetime) -> PodCondition:
    changed = before is None or before.status != condition.status
    moment = format_time(now) if changed or before is None else before.last_transition_time
    return PodCondition(
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
        last_transition_time=moment,
    )


def encode_status(status: PodStatus) -> dict[str, Any]:
    """The status as JSON with the fields that Kubernetes requires even when they are empty."""
    document: dict[str, Any] = msgspec.to_builtins(status)
    for group in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for entry in document.get(group, ()):
            entry.setdefault("ready", False)
            entry.setdefault("restartCount", 0)
            entry.setdefault("image", "")
            entry.setdefault("imageID", "")
            entry.setdefault("started", False)
            for state in ("state", "lastState"):
                terminated = entry.setdefault(state, {}).get("terminated")
                if terminated is not None:
                    terminated.setdefault("exitCode", 0)
    return document


def may_wait_s(stored: PodStatus, wanted: PodStatus) -> float:
    """How long the difference may wait for more to come, in seconds; 0 when it is to be written now.

    A pod's volumes, sandbox and containers are made within half a second: who looks at a pod looks for the end of that.
    """
    if (stored.phase or "Pending", wanted.phase) != ("Pending", "Pending"):
        return 0.0
    states = [*wanted.init_container_statuses, *wanted.container_statuses]
    waiting = [status.state.waiting for status in states if status.state.waiting is not None]
    if all(own.reason in (CREATING, INITIALIZING) for own in waiting):
        return STARTING_S
    return 0.0


def status_patch(wanted: PodStatus, stored: PodStatus) -> dict[str, Any] | None:
    """A merge patch of the status, or None when it is as it should be. Other writers' fields stay untouched."""
    new, old = encode_status(wanted), encode_status(stored)
    changes: dict[str, Any] = {key: value for key, value in new.items() if old.get(key) != value}
    changes |= {key: None for key in old if key not in new and key in _OWNED_FIELDS}
    return changes or None


def _mounts_image(pod: Pod, container: Container) -> bool:
    images = {volume.name for volume in pod.spec.volumes if volume.image is not None}
    return any(mount.name in images for mount in container.volume_mounts)
