"""What to do with one pod now. Pure: from the pod, its sandboxes and containers to actions, status and events.

The order is the kubelet's: volumes, sandbox, init containers one after the other, then all containers; at the end
containers, sandbox, volumes, and last the object. Each pass returns the steps that are possible now; the next pass sees
their result. Restart back-off is kept with the containers themselves.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kobune.api.core import Container, Pod
from kobune.embedded.kubelet.container_status import CRASH_LOOP
from kobune.embedded.kubelet.model import (
    NETWORKS_PROBLEM,
    AttachNetworks,
    ContainerInfo,
    ContainerState,
    FinishDeletion,
    ForgetPod,
    ImageViewState,
    KillContainer,
    PodAction,
    PodObserved,
    PodPlan,
    PrepareVolumes,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    RunSandbox,
    SandboxInfo,
    StartContainer,
    StopSandbox,
    TearDownVolumes,
    is_sidecar,
)
from kobune.embedded.kubelet.names import BACKOFF_ANNOTATION
from kobune.embedded.kubelet.networks.selection import asked_networks
from kobune.embedded.kubelet.questions import (
    deadline_of,
    deletion_grace,
    go_duration,
    has_failed,
    has_started,
    is_alive,
    is_restarted,
    latest_in,
    moment,
    next_backoff_s,
    orphan_grace,
    spec_grace,
)
from kobune.embedded.kubelet.status import Verdict, pod_status
from kobune.kube.runtime.decision import Event, EventType

__all__ = ["decide"]


@dataclass(slots=True)
class _Draft:
    """The plan while it is being made. `wake_at` is the earliest moment at which something may change by itself."""

    actions: list[PodAction] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    waiting: dict[str, tuple[str, str]] = field(default_factory=dict)
    wake_at: datetime | None = None

    def wake(self, moment: datetime) -> None:
        self.wake_at = moment if self.wake_at is None else min(self.wake_at, moment)


def decide(seen: PodObserved) -> PodPlan:
    """The next steps for one pod."""
    draft = _Draft()
    if seen.pod is None:
        _end(seen, draft, orphan_grace(seen), forget=True)
        return _plan(seen, draft, None)
    pod = seen.pod
    verdict = _verdict(seen, pod)
    if verdict is None:
        _run(seen, pod, draft)
        # What was just seen to be impossible may have finished the pod: look again with the same eyes.
    elif pod.metadata.deletion_timestamp is not None:
        _end(seen, draft, deletion_grace(pod), forget=False)
    else:
        _end(seen, draft, spec_grace(pod), forget=False)
    return _plan(seen, draft, verdict)


def _plan(seen: PodObserved, draft: _Draft, verdict: Verdict | None) -> PodPlan:
    status = None
    if seen.pod is not None:
        status = pod_status(seen, verdict, draft.waiting)
    requeue = None if draft.wake_at is None else max(draft.wake_at - seen.now, timedelta(milliseconds=50))
    return PodPlan(tuple(draft.actions), status, tuple(draft.events), requeue)


# ---- the end of a pod ----


def _verdict(seen: PodObserved, pod: Pod) -> Verdict | None:
    """Whether the pod must not run (any more), and why."""
    if seen.memory.rejected is not None:
        return Verdict("Failed", seen.memory.rejected.reason, seen.memory.rejected.message)
    if pod.status.phase in ("Succeeded", "Failed"):
        return Verdict(pod.status.phase, pod.status.reason, pod.status.message)
    deadline = deadline_of(pod)
    if deadline is not None and seen.now >= deadline:
        return Verdict("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    if pod.metadata.deletion_timestamp is not None:
        return Verdict("", "", "")
    return _finished(seen, pod)


def _finished(seen: PodObserved, pod: Pod) -> Verdict | None:
    """Succeeded or Failed when every container has ended for good."""
    policy = pod.spec.restart_policy or "Always"
    if policy == "Always":
        return None
    if policy == "Never":
        for container in pod.spec.init_containers:
            latest = seen.latest(container.name)
            if not is_sidecar(container) and latest is not None and has_failed(latest):
                return Verdict("Failed", "", "")
    ended: list[ContainerInfo] = []
    for container in pod.spec.containers:
        latest = seen.latest(container.name)
        if latest is None:
            if _sandbox_lost_for_good(seen, pod):
                continue
            return None
        if latest.state is not ContainerState.EXITED:
            return None
        if policy == "OnFailure" and latest.exit_code != 0:
            return None
        ended.append(latest)
    failed = any(has_failed(container) for container in ended) or len(ended) < len(pod.spec.containers)
    return Verdict("Failed" if failed else "Succeeded", "", "")


def _sandbox_lost_for_good(seen: PodObserved, pod: Pod) -> bool:
    """A pod that is never restarted does not get a second sandbox once something ran in the first."""
    return (
        pod.spec.restart_policy == "Never"
        and bool(seen.containers)
        and bool(seen.sandboxes)
        and not seen.sandboxes[0].ready
    )


def _end(seen: PodObserved, draft: _Draft, grace_s: int, *, forget: bool) -> None:
    if _kill_all(seen, draft, grace_s):
        return
    for sandbox in seen.sandboxes:
        # One that has died by itself still has its network.
        if sandbox.ready or sandbox.id not in seen.memory.stopped_sandboxes:
            draft.actions.append(StopSandbox(sandbox.id))
    if draft.actions:
        return
    if not seen.memory.torn_down:
        draft.actions.append(TearDownVolumes())
    if forget:
        draft.actions += [RemoveSandbox(sandbox.id) for sandbox in seen.sandboxes]
        draft.actions.append(ForgetPod())
    elif seen.pod is not None and seen.pod.metadata.deletion_timestamp is not None:
        draft.actions.append(FinishDeletion())


def _kill_all(seen: PodObserved, draft: _Draft, grace_s: int) -> bool:
    """Stop what runs, sidecars after the others and in reverse order; True while something still runs."""
    alive = [container for container in seen.containers if is_alive(container)]
    if not alive:
        return False
    sidecars = []
    if seen.pod is not None:
        sidecars = [container.name for container in seen.pod.spec.init_containers if is_sidecar(container)]
    ordinary = [container for container in alive if container.name not in sidecars]
    if ordinary:
        targets = ordinary
    else:
        last = max(sidecars.index(container.name) for container in alive)
        targets = [container for container in alive if container.name == sidecars[last]]
    for container in targets:
        _kill(seen, draft, container, grace_s, f"Stopping container {container.name}")
    return True


def _kill(seen: PodObserved, draft: _Draft, container: ContainerInfo, grace_s: int, message: str) -> None:
    """Stop one container, unless that is under way with at most this grace."""
    given = seen.memory.stopping.get(container.id)
    if given is not None and given <= grace_s:
        return
    draft.actions.append(KillContainer(container.id, container.name, grace_s, message))
    if given is None:
        draft.events.append(Event(EventType.NORMAL, "Killing", message))


# ---- the life of a pod ----


def _run(seen: PodObserved, pod: Pod, draft: _Draft) -> None:
    deadline = deadline_of(pod)
    if deadline is not None:
        draft.wake(deadline)
    if not _pod_problem_passed(seen, draft):
        return
    if not seen.memory.volumes_ready:
        if not seen.memory.preparing:
            draft.actions.append(PrepareVolumes())
        return
    sandbox = _sandbox(seen, pod, draft)
    if sandbox is None or not _networks(seen, pod, sandbox, draft):
        return
    _remove_history(seen, draft)
    if _run_init_containers(seen, pod, sandbox, draft):
        for container in pod.spec.containers:
            _run_container(seen, pod, sandbox, container, draft)
    for container in pod.spec.ephemeral_containers:
        # For debugging: started once, never again, and nothing waits for it.
        if seen.latest(container.name) is None:
            _start(seen, sandbox, container, draft)


def _pod_problem_passed(seen: PodObserved, draft: _Draft) -> bool:
    """Volumes or the sandbox failed a moment ago: wait, unless the time has come."""
    problem = seen.memory.problems.get("")
    if problem is None or seen.now >= problem.retry_at:
        return True
    draft.wake(problem.retry_at)
    return False


def _sandbox(seen: PodObserved, pod: Pod, draft: _Draft) -> SandboxInfo | None:
    """The sandbox to run in; when there is none, ask for one."""
    newest = seen.sandboxes[0] if seen.sandboxes else None
    for older in seen.sandboxes[1:]:
        if older.ready:
            draft.actions.append(StopSandbox(older.id))
        elif not any(container.sandbox_id == older.id for container in seen.containers):
            draft.actions.append(RemoveSandbox(older.id))
    if newest is not None and newest.ready:
        return newest
    lost = [container for container in seen.containers if is_alive(container)]
    for container in lost:
        _kill(seen, draft, container, spec_grace(pod), "Pod sandbox changed, it will be killed and re-created.")
    if lost:
        return None
    if newest is not None:
        draft.events.append(
            Event(EventType.NORMAL, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        )
        # Its network must be given back before another sandbox of this pod asks for one.
        draft.actions.append(StopSandbox(newest.id))
    draft.actions.append(RunSandbox(0 if newest is None else newest.attempt + 1))
    return None


def _networks(seen: PodObserved, pod: Pod, sandbox: SandboxInfo, draft: _Draft) -> bool:
    """Further networks; False while containers must not start because the sandbox does not have them yet."""
    if seen.memory.networks == asked_networks(pod):
        return True
    begun = any(container.sandbox_id == sandbox.id for container in seen.containers)
    problem = seen.memory.problems.get(NETWORKS_PROBLEM)
    if begun and problem is not None and seen.now < problem.retry_at:
        draft.wake(problem.retry_at)
    else:
        draft.actions.append(AttachNetworks(sandbox.id))
    return begun


def _remove_history(seen: PodObserved, draft: _Draft) -> None:
    """Keep the newest attempt and the one before it, whose log `--previous` shows."""
    kept: dict[str, int] = {}
    for container in seen.containers:
        kept[container.name] = kept.get(container.name, 0) + 1
        if kept[container.name] > 2 and container.state is ContainerState.EXITED:
            draft.actions.append(RemoveContainer(container.id))


def _run_init_containers(seen: PodObserved, pod: Pod, sandbox: SandboxInfo, draft: _Draft) -> bool:
    """True once the ordinary containers may run. Sidecars are kept running from then on, too."""
    begun = any(latest_in(seen, container, sandbox) is not None for container in pod.spec.containers)
    for container in pod.spec.init_containers:
        current = latest_in(seen, container, sandbox)
        if is_sidecar(container):
            _run_container(seen, pod, sandbox, container, draft)
            started = (
                current is not None and current.state is ContainerState.RUNNING and has_started(seen, container.name)
            )
            if not started and not begun:
                return False
        elif not begun:
            if current is not None and current.state is ContainerState.EXITED and current.exit_code == 0:
                continue
            _run_container(seen, pod, sandbox, container, draft)
            return False
    return True


def _run_container(seen: PodObserved, pod: Pod, sandbox: SandboxInfo, container: Container, draft: _Draft) -> None:
    current = latest_in(seen, container, sandbox)
    if current is None:
        _start(seen, sandbox, container, draft)
    elif current.state is ContainerState.CREATED:
        # It was created and never started: this process ended in between, or the start failed.
        if _problem_passed(seen, container.name, draft):
            draft.actions.append(RemoveContainer(current.id))
    elif current.state is ContainerState.RUNNING:
        _check_probes(seen, pod, container, current, draft)
    elif current.state is ContainerState.UNKNOWN:
        _kill(seen, draft, current, spec_grace(pod), f"Container {container.name} is in unknown state")
    elif is_restarted(pod, container, current):
        _restart(seen, pod, sandbox, container, current, draft)


def _check_probes(seen: PodObserved, pod: Pod, container: Container, current: ContainerInfo, draft: _Draft) -> None:
    probe = seen.memory.probes.get(container.name)
    if probe is not None and not probe.alive:
        grace_s = spec_grace(pod) if probe.grace_s is None else probe.grace_s
        which = "liveness" if probe.started else "startup"
        message = f"Container {container.name} failed {which} probe, will be restarted"
        _kill(seen, draft, current, grace_s, message)


def _restart(
    seen: PodObserved, pod: Pod, sandbox: SandboxInfo, container: Container, ended: ContainerInfo, draft: _Draft
) -> None:
    delay_s = int(ended.annotations.get(BACKOFF_ANNOTATION, "0"))
    due = moment(ended.finished_at_ns) + timedelta(seconds=delay_s)
    if seen.now < due:
        where = f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"
        draft.waiting[container.name] = (
            CRASH_LOOP,
            f"back-off {go_duration(delay_s)} restarting failed container={container.name} pod={where}",
        )
        message = f"Back-off restarting failed container {container.name} in pod {where}"
        draft.events.append(Event(EventType.WARNING, "BackOff", message))
        draft.wake(due)
        return
    _start(seen, sandbox, container, draft)


def _start(seen: PodObserved, sandbox: SandboxInfo, container: Container, draft: _Draft) -> None:
    if not _problem_passed(seen, container.name, draft):
        return
    view = seen.memory.images.get(container.name)
    if view is None or (
        view.state is ImageViewState.FAILED and view.retry_at is not None and seen.now >= view.retry_at
    ):
        draft.actions.append(PullImage(container))
    elif view.state is ImageViewState.PRESENT:
        latest = seen.latest(container.name)
        attempt = 0 if latest is None else latest.attempt + 1
        draft.actions.append(StartContainer(container, sandbox, attempt, next_backoff_s(latest)))
    elif view.state is ImageViewState.FAILED:
        draft.waiting[container.name] = (view.reason, view.message)
        if view.retry_at is not None:
            draft.wake(view.retry_at)


def _problem_passed(seen: PodObserved, name: str, draft: _Draft) -> bool:
    problem = seen.memory.problems.get(name)
    if problem is None or seen.now >= problem.retry_at:
        return True
    draft.waiting[name] = (problem.reason, problem.message)
    draft.wake(problem.retry_at)
    return False
