"""One container's status from what the runtime says of it. Pure.

Source: fields and reasons of core/v1 ContainerStatus as kubelets fill them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from kobune.api.core import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
)
from kobune.base.clock import format_time
from kobune.embedded.kubelet.model import ImageViewState, PodObserved, all_container_statuses, is_sidecar
from kobune.embedded.kubelet.pulling import IMAGE_REASONS
from kobune.host.cri.types import ContainerInfo
from kobune.host.cri.types import ContainerState as RuntimeState

__all__ = ["CRASH_LOOP", "CREATING", "INITIALIZING", "container_status", "settled"]

CRASH_LOOP = "CrashLoopBackOff"
CREATING = "ContainerCreating"
INITIALIZING = "PodInitializing"


@dataclass(frozen=True, slots=True)
class _Condition:
    """What a container does: its state, the one before, and whether it counts as started and as ready."""

    state: ContainerState
    last_state: ContainerState | None = None
    started: bool = False
    ready: bool = False


def container_status(
    seen: PodObserved, pod: Pod, container: Container, waiting: Mapping[str, tuple[str, str]], *, init: bool
) -> ContainerStatus:
    """The whole status. `waiting` gives the reason and message of containers that wait for a known reason."""
    latest = seen.latest(container.name)
    reason = waiting.get(container.name)
    if latest is None:
        told = _told_before(pod, container.name)
        if told is not None and told.state.terminated is not None:
            # Its container is gone, its result is not.
            return told
        now = _Condition(_waiting(reason or _why_not_made(seen, pod, container, init=init)))
    else:
        now = _condition(seen, container, latest, reason, init=init)
    last_state, previous = now.last_state, seen.previous(container.name)
    if last_state is None and previous is not None and previous.state is RuntimeState.EXITED:
        last_state = _terminated(seen, previous)
    return ContainerStatus(
        name=container.name,
        state=now.state,
        last_state=last_state or ContainerState(),
        ready=now.ready,
        restart_count=0 if latest is None else latest.attempt,
        image=container.image,
        image_id="" if latest is None else latest.image_ref,
        container_id="" if latest is None else _container_id(latest),
        started=now.started,
    )


def settled(status: ContainerStatus) -> ContainerStatus:
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


def _told_before(pod: Pod, name: str) -> ContainerStatus | None:
    return next((one for one in all_container_statuses(pod) if one.name == name), None)


def _why_not_made(seen: PodObserved, pod: Pod, container: Container, *, init: bool) -> tuple[str, str]:
    """Reason and message of a container that there has never been."""
    view = seen.memory.images.get(container.name)
    if view is not None and view.state is ImageViewState.FAILED:
        return view.reason, view.message
    problem = seen.memory.problems.get("")
    if problem is not None and problem.reason in IMAGE_REASONS and _mounts_image(pod, container):
        return problem.reason, problem.message
    return (INITIALIZING if not init and pod.spec.init_containers else CREATING), ""


def _condition(
    seen: PodObserved, container: Container, latest: ContainerInfo, reason: tuple[str, str] | None, *, init: bool
) -> _Condition:
    finishes = init and not is_sidecar(container)
    match latest.state:
        case RuntimeState.RUNNING:
            probe = seen.memory.probes.get(container.name)
            started = finishes or probe is None or probe.started
            ready = not finishes and started and (probe is None or probe.ready)
            state = ContainerState(running=ContainerStateRunning(started_at=_rfc3339(latest.started_at_ns)))
            return _Condition(state, started=started, ready=ready)
        case RuntimeState.EXITED:
            ended, ready = _terminated(seen, latest), finishes and latest.exit_code == 0
            if reason is not None:
                return _Condition(_waiting(reason), ended, ready=ready)
            return _Condition(ended, ready=ready)
        case RuntimeState.UNKNOWN:
            lost = ContainerStateTerminated(
                exit_code=137,
                reason="ContainerStatusUnknown",
                message="The container could not be located when the pod was terminated",
                container_id=_container_id(latest),
            )
            return _Condition(ContainerState(terminated=lost))
        case _:
            return _Condition(_waiting(reason or (CREATING, "")))


def _mounts_image(pod: Pod, container: Container) -> bool:
    images = {volume.name for volume in pod.spec.volumes if volume.image is not None}
    return any(mount.name in images for mount in container.volume_mounts)


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
