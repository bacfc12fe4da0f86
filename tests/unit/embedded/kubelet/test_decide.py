"""What happens to a pod, as tables: the world as it is seen, and the steps that follow."""

from datetime import timedelta
from typing import Any

import pytest

from kobune.embedded.kubelet.decide import decide
from kobune.embedded.kubelet.model import (
    FinishDeletion,
    ForgetPod,
    ImageView,
    ImageViewState,
    KillContainer,
    PodMemory,
    PodObserved,
    PodPlan,
    PrepareVolumes,
    ProbeView,
    Problem,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    RunSandbox,
    StartContainer,
    StopSandbox,
    TearDownVolumes,
)
from kobune.embedded.kubelet.status import encode_status
from kobune.host.cri.types import ContainerInfo, ContainerState, SandboxInfo
from support.pods import NOW, UID, container, pod, sandbox

EXITED, RUNNING, CREATED = ContainerState.EXITED, ContainerState.RUNNING, ContainerState.CREATED
PRESENT = ImageView(ImageViewState.PRESENT)
READY = PodMemory(volumes_ready=True)
STOPPED = PodMemory(volumes_ready=True, stopped_sandboxes=frozenset({"sb0"}))
DELETED: dict[str, Any] = {"metadata": {"deletionTimestamp": "2026-05-04T12:00:00Z", "deletionGracePeriodSeconds": 7}}
INIT: dict[str, Any] = {"initContainers": [{"name": "setup", "image": "img:1"}]}
SIDECAR: dict[str, Any] = {"initContainers": [{"name": "proxy", "image": "img:1", "restartPolicy": "Always"}]}


def with_images(*names: str, **memory: Any) -> PodMemory:
    return PodMemory(volumes_ready=True, images=dict.fromkeys(names, PRESENT), **memory)


def look(
    the_pod: Any,
    sandboxes: list[SandboxInfo] | None = None,
    containers: list[ContainerInfo] | None = None,
    memory: PodMemory = READY,
) -> PodPlan:
    return decide(
        PodObserved(
            uid=UID,
            pod=the_pod,
            sandboxes=tuple(sandboxes or ()),
            containers=tuple(containers or ()),
            now=NOW,
            memory=memory,
            host_ip="192.0.2.1",
        )
    )


def steps(plan: PodPlan) -> list[str]:
    """Actions as short text, so that a table can be read."""
    result = []
    for action in plan.actions:
        match action:
            case StartContainer():
                result.append(f"start {action.container.name} {action.attempt} backoff {action.backoff_s}")
            case PullImage():
                result.append(f"pull {action.container.name}")
            case KillContainer():
                result.append(f"kill {action.container_id} {action.grace_s}")
            case RunSandbox():
                result.append(f"sandbox {action.attempt}")
            case StopSandbox():
                result.append(f"stop {action.sandbox_id}")
            case RemoveSandbox():
                result.append(f"remove {action.sandbox_id}")
            case RemoveContainer():
                result.append(f"remove {action.container_id}")
            case PrepareVolumes() | TearDownVolumes() | FinishDeletion() | ForgetPod():
                result.append(type(action).__name__)
    return result


CASES: list[tuple[str, PodPlan, list[str]]] = [
    ("everything is good; do nothing", look(pod("c"), [sandbox()], [container("c")]), []),
    ("a new pod gets its volumes first", look(pod("c"), memory=PodMemory()), ["PrepareVolumes"]),
    ("which are waited for", look(pod("c"), memory=PodMemory(preparing=True)), []),
    ("then its sandbox", look(pod("c")), ["sandbox 0"]),
    ("then its image", look(pod("c"), [sandbox()]), ["pull c"]),
    ("then its container", look(pod("c"), [sandbox()], memory=with_images("c")), ["start c 0 backoff 0"]),
    (
        "all containers start at once",
        look(pod("a", "b"), [sandbox()], memory=with_images("a", "b")),
        ["start a 0 backoff 0", "start b 0 backoff 0"],
    ),
    (
        "a pull under way is waited for",
        look(
            pod("c"), [sandbox()], memory=PodMemory(volumes_ready=True, images={"c": ImageView(ImageViewState.PULLING)})
        ),
        [],
    ),
    (
        "an init container runs before the others",
        look(pod("c", **INIT), [sandbox()], memory=with_images("setup", "c")),
        ["start setup 0 backoff 0"],
    ),
    (
        "while it runs nothing else starts",
        look(pod("c", **INIT), [sandbox()], [container("setup")], with_images("c")),
        [],
    ),
    (
        "after its success the others start",
        look(pod("c", **INIT), [sandbox()], [container("setup", EXITED)], with_images("c")),
        ["start c 0 backoff 0"],
    ),
    (
        "a failed init container is tried again",
        look(pod("c", **INIT), [sandbox()], [container("setup", EXITED, exit_code=1)], with_images("setup")),
        ["start setup 1 backoff 10"],
    ),
    (
        "a failed init container of a pod that never restarts ends the pod",
        look(pod("c", restartPolicy="Never", **INIT), [sandbox()], [container("setup", EXITED, exit_code=1)]),
        ["stop sb0"],
    ),
    (
        "a sidecar that is started lets the others start",
        look(pod("c", **SIDECAR), [sandbox()], [container("proxy")], with_images("c")),
        ["start c 0 backoff 0"],
    ),
    (
        "a sidecar whose startup probe has not passed does not",
        look(
            pod("c", **SIDECAR),
            [sandbox()],
            [container("proxy")],
            with_images("c", probes={"proxy": ProbeView(started=False)}),
        ),
        [],
    ),
    (
        "a sidecar that ended is started again beside running containers",
        look(pod("c", **SIDECAR), [sandbox()], [container("c"), container("proxy", EXITED)], with_images("proxy")),
        ["start proxy 1 backoff 10"],
    ),
    (
        "a container that ended is started again, without a wait the first time",
        look(pod("c"), [sandbox()], [container("c", EXITED, finished_s=0)], with_images("c")),
        ["start c 1 backoff 10"],
    ),
    (
        "the second crash waits",
        look(pod("c"), [sandbox()], [container("c", EXITED, attempt=1, finished_s=4, backoff_s=10)], with_images("c")),
        [],
    ),
    (
        "after the wait it starts and the next wait is twice as long",
        look(pod("c"), [sandbox()], [container("c", EXITED, attempt=1, finished_s=11, backoff_s=10)], with_images("c")),
        ["start c 2 backoff 20"],
    ),
    (
        "the wait grows to five minutes at most",
        look(
            pod("c"), [sandbox()], [container("c", EXITED, attempt=9, finished_s=301, backoff_s=300)], with_images("c")
        ),
        ["start c 10 backoff 300"],
    ),
    (
        "a container that ran long has recovered",
        look(
            pod("c"),
            [sandbox()],
            [container("c", EXITED, attempt=9, started_s=1000, finished_s=301, backoff_s=300)],
            with_images("c"),
        ),
        ["start c 10 backoff 10"],
    ),
    (
        "success is final with OnFailure",
        look(pod("a", "b", restartPolicy="OnFailure"), [sandbox()], [container("a", EXITED), container("b")]),
        [],
    ),
    (
        "failure is not",
        look(
            pod("a", "b", restartPolicy="OnFailure"),
            [sandbox()],
            [container("a", EXITED, exit_code=2), container("b")],
            with_images("a"),
        ),
        ["start a 1 backoff 10"],
    ),
    (
        "failure is final with Never",
        look(pod("a", "b", restartPolicy="Never"), [sandbox()], [container("a", EXITED, exit_code=2), container("b")]),
        [],
    ),
    (
        "a finished pod gives back its sandbox",
        look(pod("c", restartPolicy="Never"), [sandbox()], [container("c", EXITED)]),
        ["stop sb0"],
    ),
    (
        "and then its volumes; its containers stay for their logs",
        look(pod("c", restartPolicy="Never"), [sandbox(ready=False)], [container("c", EXITED)], STOPPED),
        ["TearDownVolumes"],
    ),
    (
        "a sandbox that has died by itself still has its network",
        look(pod("c", restartPolicy="Never"), [sandbox(ready=False)], [container("c", EXITED)]),
        ["stop sb0"],
    ),
    (
        "and then rests",
        look(
            pod("c", restartPolicy="Never"),
            [sandbox(ready=False)],
            [container("c", EXITED)],
            PodMemory(torn_down=True, stopped_sandboxes=frozenset({"sb0"})),
        ),
        [],
    ),
    (
        "a sidecar of a finished pod is stopped",
        look(pod("c", restartPolicy="Never", **SIDECAR), [sandbox()], [container("c", EXITED), container("proxy")]),
        ["kill proxy-0 30"],
    ),
    (
        "a container that never started is made anew",
        look(pod("c"), [sandbox()], [container("c", CREATED)]),
        ["remove c-0"],
    ),
    (
        "a container in an unknown state is killed",
        look(pod("c"), [sandbox()], [container("c", ContainerState.UNKNOWN)]),
        ["kill c-0 30"],
    ),
    (
        "a debugging container starts beside the others",
        look(pod("c", ephemeralContainers=[{"name": "debug"}]), [sandbox()], [container("c")], with_images("debug")),
        ["start debug 0 backoff 0"],
    ),
    (
        "and is never started again",
        look(
            pod("c", ephemeralContainers=[{"name": "debug"}]),
            [sandbox()],
            [container("c"), container("debug", EXITED, exit_code=1)],
        ),
        [],
    ),
    (
        "a lost sandbox takes its containers along",
        look(pod("c"), [sandbox(ready=False)], [container("c")]),
        ["kill c-0 30"],
    ),
    (
        "then a new sandbox is made",
        look(pod("c"), [sandbox(ready=False)], [container("c", EXITED, exit_code=137)]),
        ["stop sb0", "sandbox 1"],
    ),
    (
        "in a new sandbox init containers run again, and attempts go on counting",
        look(
            pod("c", **INIT),
            [sandbox(1), sandbox(0, ready=False)],
            [container("c", EXITED, exit_code=137), container("setup", EXITED)],
            with_images("setup", "c"),
        ),
        ["start setup 1 backoff 10"],
    ),
    (
        "a pod that never restarts gets no second sandbox",
        look(pod("c", restartPolicy="Never"), [sandbox(ready=False)], [container("c", EXITED, exit_code=137)], STOPPED),
        ["TearDownVolumes"],
    ),
    (
        "an older sandbox without containers is forgotten",
        look(pod("c"), [sandbox(1), sandbox(0, ready=False)], [container("c", sandbox_id="sb1")]),
        ["remove sb0"],
    ),
    (
        "of the dead attempts one is kept",
        look(
            pod("c"),
            [sandbox()],
            [container("c", attempt=2), container("c", EXITED, attempt=1), container("c", EXITED)],
        ),
        ["remove c-0"],
    ),
    (
        "a failed liveness probe kills",
        look(pod("c"), [sandbox()], [container("c")], with_images(probes={"c": ProbeView(alive=False)})),
        ["kill c-0 30"],
    ),
    (
        "with the probe's own grace, if it has one",
        look(pod("c"), [sandbox()], [container("c")], with_images(probes={"c": ProbeView(alive=False, grace_s=3)})),
        ["kill c-0 3"],
    ),
    (
        "a container that is being stopped is left alone",
        look(
            pod("c"),
            [sandbox()],
            [container("c")],
            with_images(probes={"c": ProbeView(alive=False)}, stopping={"c-0": 30}),
        ),
        [],
    ),
    (
        "a deleted pod's containers get the deletion's grace",
        look(pod("c", **DELETED), [sandbox()], [container("c")]),
        ["kill c-0 7"],
    ),
    (
        "a shorter grace replaces a longer one",
        look(pod("c", **DELETED), [sandbox()], [container("c")], PodMemory(volumes_ready=True, stopping={"c-0": 30})),
        ["kill c-0 7"],
    ),
    (
        "a longer one does not",
        look(pod("c", **DELETED), [sandbox()], [container("c")], PodMemory(volumes_ready=True, stopping={"c-0": 7})),
        [],
    ),
    (
        "sidecars are stopped after the others",
        look(pod("c", **DELETED, **SIDECAR), [sandbox()], [container("c"), container("proxy")]),
        ["kill c-0 7"],
    ),
    (
        "and then, too",
        look(pod("c", **DELETED, **SIDECAR), [sandbox()], [container("c", EXITED), container("proxy")]),
        ["kill proxy-0 7"],
    ),
    (
        "a deleted pod's sandbox is stopped when nothing runs",
        look(pod("c", **DELETED), [sandbox()], [container("c", EXITED)]),
        ["stop sb0"],
    ),
    (
        "its volumes and its object go last",
        look(pod("c", **DELETED), [sandbox(ready=False)], [container("c", EXITED)], STOPPED),
        ["TearDownVolumes", "FinishDeletion"],
    ),
    (
        "a pod deleted before anything was made just goes",
        look(pod("c", **DELETED), memory=PodMemory()),
        ["TearDownVolumes", "FinishDeletion"],
    ),
    (
        "an orphan is stopped",
        look(None, [sandbox()], [container("c")], PodMemory(final_grace_s=4)),
        ["kill c-0 4"],
    ),
    (
        "the sandbox of an orphan is stopped whatever it says of itself",
        look(None, [sandbox(1, ready=False), sandbox(ready=False)], [container("c", EXITED)], STOPPED),
        ["stop sb1"],
    ),
    (
        "an orphan leaves nothing",
        look(None, [sandbox(ready=False)], [container("c", EXITED)], STOPPED),
        ["TearDownVolumes", "remove sb0", "ForgetPod"],
    ),
    (
        "volumes that failed a moment ago are not tried again yet",
        look(pod("c"), memory=PodMemory(problems={"": Problem("FailedMount", "x", NOW + timedelta(seconds=5))})),
        [],
    ),
    (
        "but later they are",
        look(pod("c"), memory=PodMemory(problems={"": Problem("FailedMount", "x", NOW)})),
        ["PrepareVolumes"],
    ),
    (
        "a failed pull waits",
        look(
            pod("c"),
            [sandbox()],
            memory=PodMemory(
                volumes_ready=True,
                images={"c": ImageView(ImageViewState.FAILED, "ErrImagePull", "no", NOW + timedelta(seconds=9))},
            ),
        ),
        [],
    ),
    (
        "and is tried again",
        look(
            pod("c"),
            [sandbox()],
            memory=PodMemory(volumes_ready=True, images={"c": ImageView(ImageViewState.FAILED, retry_at=NOW)}),
        ),
        ["pull c"],
    ),
    (
        "the deadline ends a pod",
        look(
            pod("c", activeDeadlineSeconds=60, status={"startTime": "2026-05-04T11:00:00Z"}),
            [sandbox()],
            [container("c")],
        ),
        ["kill c-0 30"],
    ),
    (
        "a rejected pod runs nothing",
        look(pod("c"), memory=PodMemory(rejected=Problem("OutOfcpu", "no room", NOW))),
        ["TearDownVolumes"],
    ),
]


@pytest.mark.parametrize(("name", "plan", "expected"), CASES, ids=[case[0] for case in CASES])
def test_steps(name: str, plan: PodPlan, expected: list[str]) -> None:
    assert steps(plan) == expected


def status_of(plan: PodPlan) -> dict[str, Any]:
    assert plan.status is not None
    return encode_status(plan.status)


PHASES: list[tuple[str, PodPlan, str, str]] = [
    ("nothing is made yet", look(pod("c"), memory=PodMemory()), "Pending", ""),
    ("init containers run", look(pod("c", **INIT), [sandbox()], [container("setup")]), "Pending", ""),
    ("one of two runs", look(pod("a", "b"), [sandbox()], [container("a")]), "Pending", ""),
    ("both run", look(pod("a", "b"), [sandbox()], [container("a"), container("b")]), "Running", ""),
    ("crashing", look(pod("c"), [sandbox()], [container("c", EXITED, exit_code=1)]), "Running", ""),
    (
        "ended well",
        look(pod("c", restartPolicy="Never"), [sandbox()], [container("c", EXITED)]),
        "Succeeded",
        "",
    ),
    (
        "ended badly",
        look(
            pod("a", "b", restartPolicy="Never"),
            [sandbox()],
            [container("a", EXITED), container("b", EXITED, exit_code=1)],
        ),
        "Failed",
        "",
    ),
    (
        "deleted while running",
        look(pod("c", **DELETED), [sandbox()], [container("c")]),
        "Running",
        "",
    ),
    (
        "a phase that was told is final",
        look(pod("c", status={"phase": "Failed", "reason": "Evicted"}), [sandbox()], [container("c")]),
        "Failed",
        "Evicted",
    ),
    (
        "too late",
        look(pod("c", activeDeadlineSeconds=60, status={"startTime": "2026-05-04T11:00:00Z"}), [sandbox()], []),
        "Failed",
        "DeadlineExceeded",
    ),
]


@pytest.mark.parametrize(("name", "plan", "phase", "reason"), PHASES, ids=[case[0] for case in PHASES])
def test_phase(name: str, plan: PodPlan, phase: str, reason: str) -> None:
    status = status_of(plan)
    assert (status["phase"], status.get("reason", "")) == (phase, reason)


def test_a_running_pod_is_ready_and_has_its_addresses() -> None:
    status = status_of(look(pod("c"), [sandbox()], [container("c")]))
    assert status["podIP"] == "10.42.0.5"
    assert status["hostIP"] == "192.0.2.1"
    assert status["startTime"] == "2026-05-04T12:00:00Z"
    assert {own["type"]: own["status"] for own in status["conditions"]} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    assert status["containerStatuses"] == [
        {
            "name": "c",
            "state": {"running": {"startedAt": "2026-05-04T11:59:00Z"}},
            "lastState": {},
            "restartCount": 0,
            "ready": True,
            "started": True,
            "image": "img:1",
            "imageID": "sha256:abc",
            "containerID": "containerd://c-0",
        }
    ]


def test_a_crash_loop_shows_what_happened_and_when_it_goes_on() -> None:
    crashed = container("c", EXITED, attempt=3, exit_code=2, finished_s=15, backoff_s=40)
    plan = look(pod("c"), [sandbox()], [crashed], with_images("c"))
    (entry,) = status_of(plan)["containerStatuses"]
    assert entry["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": f"back-off 40s restarting failed container=c pod=web_default({UID})",
    }
    assert entry["lastState"]["terminated"]["exitCode"] == 2
    assert entry["restartCount"] == 3
    assert plan.requeue_after == timedelta(seconds=25)
    assert [event.reason for event in plan.events] == ["BackOff"]


def test_an_unready_container_is_named() -> None:
    plan = look(
        pod("a", "b"), [sandbox()], [container("a"), container("b")], with_images(probes={"b": ProbeView(ready=False)})
    )
    ready = next(own for own in status_of(plan)["conditions"] if own["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [b]"


def test_conditions_of_others_and_times_are_kept() -> None:
    before = {
        "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "example.com/gate", "status": "True"},
        ]
    }
    status = status_of(look(pod("c", status=before), [sandbox()], [container("c")]))
    conditions = {own["type"]: own for own in status["conditions"]}
    assert conditions["Ready"]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert conditions["example.com/gate"]["status"] == "True"


def test_a_readiness_gate_holds_the_pod_back() -> None:
    plan = look(pod("c", readinessGates=[{"conditionType": "example.com/gate"}]), [sandbox()], [container("c")])
    conditions = {own["type"]: own for own in status_of(plan)["conditions"]}
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ("False", "ReadinessGatesNotReady")
    assert conditions["ContainersReady"]["status"] == "True"


def test_what_is_known_of_a_removed_container_stays() -> None:
    before = {
        "phase": "Succeeded",
        "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}],
    }
    status = status_of(look(pod("c", restartPolicy="Never", status=before), [], [], PodMemory(torn_down=True)))
    assert status["containerStatuses"][0]["state"] == {"terminated": {"reason": "Completed", "exitCode": 0}}


def test_a_converged_pod_wants_nothing_and_no_wake_up() -> None:
    plan = look(pod("c"), [sandbox()], [container("c")])
    assert plan.actions == ()
    assert plan.requeue_after is None
    assert plan.events == ()
