"""Decisions about silent nodes and lost pods."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kobune.api.core import Lease, Node, Pod
from kobune.embedded.builtin.nodes import decide as nodes
from kobune.embedded.builtin.pods import decide as pods
from kobune.kube.runtime.decision import Delete, PatchObject

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_node(ready: str | None, taints: list[dict[str, Any]] | None = None, **spec: Any) -> Node:
    conditions = [{"type": "Ready", "status": ready}, {"type": "Other", "status": "True"}] if ready else []
    document = {
        "metadata": {"name": "n", "resourceVersion": "7"},
        "spec": {"taints": taints or [], **spec},
        "status": {"conditions": conditions},
    }
    return msgspec.convert(document, Node)


def lease(age_s: float) -> Lease:
    renewed = (NOW - timedelta(seconds=age_s)).isoformat()
    return msgspec.convert({"metadata": {"name": "n"}, "spec": {"renewTime": renewed}}, Lease)


def look(node: Node, age_s: float, *, known_s: float = 3600) -> nodes.Observed:
    return nodes.Observed(node, lease(age_s), NOW - timedelta(seconds=known_s), NOW)


def taints_of(seen: nodes.Observed) -> list[tuple[str, str]] | None:
    for action in nodes.decide(seen).actions:
        assert isinstance(action, PatchObject)
        return [
            (taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"])
            for taint in action.patch.body["spec"]["taints"]
        ]
    return None


def test_a_node_that_speaks_is_left_alone_until_its_time_is_up() -> None:
    decision = nodes.decide(look(a_node("True"), 10))
    assert (decision.actions, decision.status) == ((), None)
    assert decision.requeue_after == timedelta(seconds=30)


def test_a_silent_node_is_unknown_and_tainted() -> None:
    seen = look(a_node("True"), 41)
    decision = nodes.decide(seen)
    assert decision.status is not None
    ready, other = decision.status.status["conditions"]
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert other["status"] == "True"
    assert taints_of(seen) == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert [event.reason for event in decision.events] == ["NodeNotReady"]
    assert decision.requeue_after is None


def test_our_own_start_is_no_reason_to_mark_a_node() -> None:
    assert nodes.decide(look(a_node("True"), 500, known_s=5)).status is None


def test_a_node_without_conditions_is_left_to_its_kubelet() -> None:
    decision = nodes.decide(look(a_node(None), 500))
    assert (decision.actions, decision.status) == ((), None)


def test_a_node_that_comes_back_loses_our_taints_and_keeps_others() -> None:
    taints = [
        {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
        {"key": "mine", "effect": "NoSchedule"},
    ]
    assert taints_of(look(a_node("True", taints), 1)) == [("mine", "NoSchedule")]


def test_a_node_that_is_not_ready_is_tainted_so() -> None:
    assert taints_of(look(a_node("False"), 1)) == [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]


def test_a_cordoned_node_is_tainted_and_untainted() -> None:
    assert taints_of(look(a_node("True", unschedulable=True), 1)) == [("unschedulable", "NoSchedule")]
    tainted = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    assert taints_of(look(a_node("True", tainted, unschedulable=True), 1)) is None
    assert taints_of(look(a_node("True", tainted), 1)) == []


def a_pod(*, node: str = "", deleting: bool = False, phase: str = "Running") -> Pod:
    metadata = {"name": "p", "namespace": "default", "uid": "u", "resourceVersion": "7"}
    metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {}
    return msgspec.convert({"metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase}}, Pod)


@pytest.mark.parametrize(
    ("pod", "missing_s", "deleted"),
    [
        pytest.param(a_pod(node="n"), None, False, id="its node is there"),
        pytest.param(a_pod(), None, False, id="it waits for a node"),
        pytest.param(a_pod(deleting=True), None, True, id="it was deleted before it had a node"),
        pytest.param(a_pod(node="n", deleting=True), None, False, id="its kubelet ends it"),
        pytest.param(a_pod(node="n"), 39, False, id="its node may come back"),
        pytest.param(a_pod(node="n", phase="Failed"), 40, True, id="its node is gone and it has ended"),
    ],
)
def test_pods_are_deleted_when_nobody_else_will(pod: Pod, missing_s: float | None, deleted: bool) -> None:
    since = NOW - timedelta(seconds=missing_s) if missing_s is not None else None
    decision = pods.decide(pods.Observed(pod, since, NOW))
    assert [isinstance(action, Delete) and action.grace_period_s == 0 for action in decision.actions] == [
        True
    ] * deleted


def test_a_lost_pod_is_marked_as_failed_first() -> None:
    decision = pods.decide(pods.Observed(a_pod(node="n"), NOW - timedelta(seconds=41), NOW))
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status.status["phase"] == "Failed"
    assert decision.status.status["conditions"][0]["type"] == "DisruptionTarget"
