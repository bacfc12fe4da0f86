"""The pod's status from what its containers do. Pure.

Source: fields, reasons and messages of core/v1 PodStatus as kubelets fill them; conditions that others own are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from kobune.api.core import (
    Container,
    ContainerStatus,
    HostIP,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)
from kobune.base.clock import format_time
from kobune.embedded.kubelet.container_status import CREATING, INITIALIZING, container_status, settled
from kobune.embedded.kubelet.model import PodObserved, is_sidecar
from kobune.embedded.kubelet.qos import qos_class
from kobune.host.cri.types import ContainerState as RuntimeState

__all__ = ["Verdict", "encode_status", "may_wait_s", "pod_status", "status_patch"]

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
    inits = [container_status(seen, pod, container, waiting, init=True) for container in pod.spec.init_containers]
    mains = [container_status(seen, pod, container, waiting, init=False) for container in pod.spec.containers]
    debugging = [container_status(seen, pod, own, waiting, init=False) for own in pod.spec.ephemeral_containers]
    phase = _phase(pod, verdict, inits, mains)
    if verdict is not None and verdict.phase and not _any_running(seen):
        inits = [settled(status) for status in inits]
        mains = [settled(status) for status in mains]
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
