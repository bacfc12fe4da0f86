"""Questions about a pod and its containers that the decision asks. Pure: each answers from what was seen.

Owns: grace periods, deadlines, what counts as alive, failed and started, and the length of the restart back-off.
"""

from datetime import UTC, datetime, timedelta

from kobune.api.core import Container, Pod
from kobune.base.clock import parse_time
from kobune.embedded.kubelet.model import ContainerInfo, ContainerState, PodObserved, SandboxInfo, is_sidecar
from kobune.embedded.kubelet.names import BACKOFF_ANNOTATION, GRACE_ANNOTATION

__all__ = [
    "deadline_of",
    "deletion_grace",
    "go_duration",
    "has_failed",
    "has_started",
    "is_alive",
    "is_restarted",
    "latest_in",
    "moment",
    "next_backoff_s",
    "orphan_grace",
    "spec_grace",
]

MAX_BACKOFF_S = 300
FIRST_BACKOFF_S = 10
BACKOFF_RESET_S = 600
"""A container that ran so long has recovered: its next crash starts the back-off anew."""
DEFAULT_GRACE_S = 30


def latest_in(seen: PodObserved, container: Container, sandbox: SandboxInfo) -> ContainerInfo | None:
    latest = seen.latest(container.name)
    return latest if latest is not None and latest.sandbox_id == sandbox.id else None


def is_alive(container: ContainerInfo) -> bool:
    return container.state in (ContainerState.RUNNING, ContainerState.UNKNOWN)


def has_failed(container: ContainerInfo) -> bool:
    return container.state is ContainerState.EXITED and container.exit_code != 0


def has_started(seen: PodObserved, name: str) -> bool:
    probe = seen.memory.probes.get(name)
    return probe is None or probe.started


def is_restarted(pod: Pod, container: Container, ended: ContainerInfo) -> bool:
    policy = pod.spec.restart_policy or "Always"
    ordinary = any(own.name == container.name for own in pod.spec.containers)
    if is_sidecar(container) and not ordinary:
        return True
    if not ordinary:
        return policy != "Never" and ended.exit_code != 0
    return policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)


def deadline_of(pod: Pod) -> datetime | None:
    if pod.spec.active_deadline_seconds is None or pod.status.start_time is None:
        return None
    return parse_time(pod.status.start_time) + timedelta(seconds=pod.spec.active_deadline_seconds)


def spec_grace(pod: Pod) -> int:
    given = pod.spec.termination_grace_period_seconds
    return DEFAULT_GRACE_S if given is None else given


def deletion_grace(pod: Pod) -> int:
    given = pod.metadata.deletion_grace_period_seconds
    return spec_grace(pod) if given is None else given


def orphan_grace(seen: PodObserved) -> int:
    """The pod's object is gone: what was agreed when its sandbox was made still holds."""
    if seen.memory.final_grace_s is not None:
        return seen.memory.final_grace_s
    for sandbox in seen.sandboxes:
        if GRACE_ANNOTATION in sandbox.annotations:
            return int(sandbox.annotations[GRACE_ANNOTATION])
    return DEFAULT_GRACE_S


def moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def go_duration(seconds: int) -> str:
    """As Go prints a duration: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def next_backoff_s(latest: ContainerInfo | None) -> int:
    """The wait after the next attempt's end: none after the first, then 10 s, doubled up to 5 minutes."""
    if latest is None:
        return 0
    ran_s = (latest.finished_at_ns - latest.started_at_ns) / 1e9
    if latest.started_at_ns and ran_s >= BACKOFF_RESET_S:
        return FIRST_BACKOFF_S
    given = int(latest.annotations.get(BACKOFF_ANNOTATION, "0"))
    return min(given * 2, MAX_BACKOFF_S) if given else FIRST_BACKOFF_S
