"""Decisions about ReplicaSets and Deployments."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kobune.api.core import Pod
from kobune.embedded.builtin.deployments import decide as deployments
from kobune.embedded.builtin.deployments.rollout import Version, limits, next_replicas
from kobune.embedded.builtin.replicasets import decide as sets
from kobune.embedded.builtin.replicasets.types import ReplicaSet
from kobune.kube.runtime.decision import Action, Create, Delete, PatchObject

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


# ReplicaSets


def a_set(replicas: int, **spec: Any) -> ReplicaSet:
    document = {
        "metadata": {"name": "web", "namespace": "ns", "uid": "uid-web", "generation": 2},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}},
            **spec,
        },
    }
    return msgspec.convert(document, ReplicaSet)


def pod(
    name: str,
    *,
    owner: str | None = "uid-web",
    label: str = "web",
    node: str = "n",
    phase: str = "Running",
    ready: bool = True,
    age_s: int = 60,
) -> Pod:
    owners = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": owner, "controller": True}]
    since = (NOW - timedelta(seconds=age_s)).isoformat()
    document = {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"uid-{name}",
            "labels": {"app": label},
            "creationTimestamp": since,
            "ownerReferences": owners if owner is not None else [],
        },
        "spec": {"nodeName": node},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}],
        },
    }
    return msgspec.convert(document, Pod)


def done(actions: tuple[Action, ...]) -> list[tuple[str, str]]:
    found = []
    for action in actions:
        match action:
            case Create(obj=obj):
                found.append(("create", obj["metadata"]["name"]))
            case Delete(key=key):
                found.append(("delete", key.name))
            case PatchObject(key=key):
                found.append(("patch", key.name))
            case _:
                raise AssertionError(action)
    return found


@pytest.mark.parametrize(
    ("replicas", "pods", "wanted"),
    [
        pytest.param(2, [pod("a"), pod("b")], [], id="as many as wanted: do nothing"),
        pytest.param(1, [pod("a"), pod("b", age_s=5)], [("delete", "b")], id="too many: the youngest goes"),
        pytest.param(
            1, [pod("a", ready=False), pod("b", age_s=5)], [("delete", "a")], id="one that is not ready goes first"
        ),
        pytest.param(
            1, [pod("a", node=""), pod("b", ready=False)], [("delete", "a")], id="one without a node even before"
        ),
        pytest.param(1, [pod("a", owner=None)], [("patch", "a")], id="an orphan that matches: adopt it"),
        pytest.param(0, [pod("a", label="other")], [("patch", "a")], id="a pod that matches no more: release it"),
    ],
)
def test_pods(replicas: int, pods: list[Pod], wanted: list[tuple[str, str]]) -> None:
    assert done(sets.decide(sets.Observed(a_set(replicas), tuple(pods), NOW)).actions) == wanted


def test_missing_pods_are_created_under_names_that_repeat() -> None:
    first = done(sets.decide(sets.Observed(a_set(3), (pod("a", phase="Failed"),), NOW)).actions)
    assert [kind for kind, _ in first] == ["create"] * 3
    again = done(sets.decide(sets.Observed(a_set(3), (pod(first[0][1]),), NOW)).actions)
    assert again == first[1:]


def test_pods_carry_template_and_owner() -> None:
    (action,) = sets.decide(sets.Observed(a_set(1), (), NOW)).actions
    assert isinstance(action, Create)
    assert action.obj["metadata"]["labels"] == {"app": "web"}
    assert action.obj["metadata"]["ownerReferences"][0]["uid"] == "uid-web"
    assert action.owner_uid == "uid-web"


def test_availability_waits_for_the_minimum_time() -> None:
    seen = sets.Observed(a_set(2, minReadySeconds=30), (pod("a", age_s=60), pod("b", age_s=10)), NOW)
    decision = sets.decide(seen)
    assert decision.status is not None
    status = decision.status.status
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (2, 2, 1)
    assert status["observedGeneration"] == 2
    assert decision.requeue_after == timedelta(seconds=20)


# rollouts


@settings(max_examples=50)
@given(
    replicas=st.integers(1, 8),
    surge=st.sampled_from([0, 1, 3, "25%", "100%"]),
    unavailable=st.sampled_from([0, 1, 2, "25%"]),
    old=st.lists(st.integers(0, 6), min_size=1, max_size=3),
    ready=st.lists(st.integers(0, 3), min_size=1, max_size=12),
)
def test_a_rollout_keeps_its_limits_and_ends(
    replicas: int, surge: int | str, unavailable: int | str, old: list[int], ready: list[int]
) -> None:
    more, fewer = limits(surge, unavailable, replicas)
    new = Version(0, 0, 0)
    others = tuple(Version(count, count, count) for count in old)
    for step in range(200):
        grown, shrunk = next_replicas(replicas, new, others, surge=more, unavailable=fewer, recreate=False)
        before = new.available + sum(version.available for version in others)
        total = grown + sum(shrunk)
        # Scaling down never takes what must stay available, scaling up never goes over the surge.
        after = min(new.available, grown) + sum(min(v.available, n) for v, n in zip(others, shrunk, strict=True))
        assert after >= min(before, replicas - fewer)
        assert total <= max(replicas + more, new.wanted + sum(version.wanted for version in others))
        if grown > new.wanted:
            assert total <= replicas + more
        becoming = ready[step % len(ready)] if step < 100 else 3
        new = Version(grown, grown, min(grown, min(new.available, grown) + becoming))
        others = tuple(Version(n, n, min(v.available, n)) for v, n in zip(others, shrunk, strict=True))
    assert new == Version(replicas, replicas, replicas)
    assert all(version.wanted == 0 for version in others)


def test_recreate_waits_until_the_old_pods_are_gone() -> None:
    def step(new: Version, old: Version) -> tuple[int, tuple[int, ...]]:
        return next_replicas(3, new, (old,), surge=1, unavailable=1, recreate=True)

    assert step(Version(0, 0, 0), Version(3, 3, 3)) == (0, (0,))
    assert step(Version(0, 0, 0), Version(0, 1, 1)) == (0, (0,))
    assert step(Version(0, 0, 0), Version(0, 0, 0)) == (3, (0,))


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "wanted"),
    [("25%", "25%", 10, (3, 2)), ("0%", "0%", 4, (0, 1)), (1, 0, 4, (1, 0)), ("100%", 1, 2, (2, 1))],
)
def test_limits(surge: int | str, unavailable: int | str, replicas: int, wanted: tuple[int, int]) -> None:
    assert limits(surge, unavailable, replicas) == wanted


# Deployments


def a_deployment(
    image: str = "i:1", replicas: int = 2, status: dict[str, Any] | None = None, **spec: Any
) -> deployments.Deployment:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    document = {
        "metadata": {"name": "d", "namespace": "ns", "uid": "uid-d", "generation": 4},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template, **spec},
        "status": status or {},
    }
    return msgspec.convert(document, deployments.Deployment)


def set_of(
    deployment: deployments.Deployment, revision: int, *, available: int | None = None, replicas: int | None = None
) -> ReplicaSet:
    """The set that a Deployment would have made, with pods."""
    (create,) = [
        action
        for action in deployments.decide(deployments.Observed(deployment, (), NOW)).actions
        if isinstance(action, Create)
    ]
    found = msgspec.convert(create.obj, ReplicaSet)
    count = found.spec.replicas if replicas is None else replicas
    return msgspec.structs.replace(
        found,
        metadata=msgspec.structs.replace(
            found.metadata,
            uid=f"uid-{revision}",
            annotations={**found.metadata.annotations, "deployment.kubernetes.io/revision": str(revision)},
        ),
        spec=msgspec.structs.replace(found.spec, replicas=count),
        status={
            "replicas": count,
            "readyReplicas": count if available is None else available,
            "availableReplicas": count if available is None else available,
        },
    )


def test_a_new_deployment_makes_its_first_version() -> None:
    decision = deployments.decide(deployments.Observed(a_deployment(), (), NOW))
    create, annotate = decision.actions
    assert isinstance(create, Create)
    label = create.obj["metadata"]["labels"]["pod-template-hash"]
    assert create.obj["metadata"]["name"] == f"d-{label}"
    assert create.obj["spec"]["selector"]["matchLabels"] == {"a": "b", "pod-template-hash": label}
    assert create.obj["spec"]["template"]["metadata"]["labels"] == {"a": "b", "pod-template-hash": label}
    assert create.obj["spec"]["replicas"] == 2
    assert isinstance(annotate, PatchObject)
    assert annotate.patch.body["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}


def test_a_new_image_makes_the_next_version_within_the_surge() -> None:
    old = set_of(a_deployment("i:1"), 1)
    decision = deployments.decide(deployments.Observed(a_deployment("i:2"), (old,), NOW))
    creates = [action for action in decision.actions if isinstance(action, Create)]
    assert [action.obj["spec"]["replicas"] for action in creates] == [1]
    assert creates[0].obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    # With 25 % of two, rounded down, nobody may be missing: the old ones stay for now.
    assert not [
        action for action in decision.actions if isinstance(action, PatchObject) and "spec" in action.patch.body
    ]


def test_going_back_uses_the_old_version_again_under_a_new_number() -> None:
    first, second = set_of(a_deployment("i:1"), 1, replicas=0), set_of(a_deployment("i:2"), 2)
    decision = deployments.decide(deployments.Observed(a_deployment("i:1"), (first, second), NOW))
    assert not [action for action in decision.actions if isinstance(action, Create)]
    bodies = {action.key.name: action.patch.body for action in decision.actions if isinstance(action, PatchObject)}
    assert bodies[first.metadata.name]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert bodies["d"]["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "3"}


def test_a_finished_deployment_rests() -> None:
    subject = a_deployment()
    only = set_of(subject, 1)
    annotated = msgspec.structs.replace(
        subject,
        metadata=msgspec.structs.replace(subject.metadata, annotations={"deployment.kubernetes.io/revision": "1"}),
    )
    decision = deployments.decide(deployments.Observed(annotated, (only,), NOW))
    assert decision.actions == ()
    assert decision.status is not None
    conditions = {c["type"]: (c["status"], c["reason"]) for c in decision.status.status["conditions"]}
    assert conditions == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    again = deployments.decide(
        deployments.Observed(
            msgspec.structs.replace(annotated, status=decision.status.status), (only,), NOW + timedelta(hours=1)
        )
    )
    assert again.status is not None
    assert again.status.status == decision.status.status


def test_no_progress_in_time_is_told() -> None:
    status = {
        "replicas": 2,
        "updatedReplicas": 2,
        "unavailableReplicas": 2,
        "conditions": [
            {
                "type": "Progressing",
                "status": "True",
                "reason": "ReplicaSetUpdated",
                "lastUpdateTime": "2026-01-01T11:49:00Z",
                "lastTransitionTime": "2026-01-01T11:49:00Z",
            }
        ],
    }
    stuck = a_deployment(status=status)
    decision = deployments.decide(deployments.Observed(stuck, (set_of(stuck, 1, available=0),), NOW))
    assert decision.status is not None
    reasons = {c["type"]: c["reason"] for c in decision.status.status["conditions"]}
    assert reasons == {"Available": "MinimumReplicasUnavailable", "Progressing": "ProgressDeadlineExceeded"}


def test_old_versions_over_the_limit_are_forgotten() -> None:
    history = [set_of(a_deployment(f"i:{number}"), number, replicas=0) for number in range(1, 5)]
    newest = set_of(a_deployment("i:9"), 9)
    subject = a_deployment("i:9", revisionHistoryLimit=2)
    decision = deployments.decide(deployments.Observed(subject, (*history, newest), NOW))
    deleted = [action.uid for action in decision.actions if isinstance(action, Delete)]
    assert deleted == ["uid-1", "uid-2"]


def test_a_paused_deployment_makes_no_new_version() -> None:
    old = set_of(a_deployment("i:1"), 1)
    assert deployments.decide(deployments.Observed(a_deployment("i:2", paused=True), (old,), NOW)).actions == ()
