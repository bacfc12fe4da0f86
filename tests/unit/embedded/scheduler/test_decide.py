"""Where pods go, as tables: nodes and pods that are there, and the binding or the reasons against it."""

from typing import Any

import msgspec
import pytest

from kobune.api.core import Node, NodeSelector, Pod
from kobune.embedded.scheduler.decide import Bind, ClaimView, SchedulerAction, Seen, decide
from kobune.kube.runtime.decision import Decision
from support.pods import NOW, node, pod


def asks(**resources: str) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": {key.replace("__", "/"): value for key, value in resources.items()}}}


def schedule(
    the_pod: Pod, nodes: list[Node], placed: list[tuple[str, Pod]] | None = None, claims: tuple[ClaimView, ...] = ()
) -> Decision[SchedulerAction]:
    return decide(Seen(the_pod, nodes, placed or [], NOW, claims))


ON_B = msgspec.convert(
    {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]},
    NodeSelector,
)


def outcome(decision: Decision[SchedulerAction]) -> str:
    """The node's name, or the message."""
    for action in decision.actions:
        return action.node if isinstance(action, Bind) else f"select {action.node} for {action.key}"
    if decision.status is None:
        return "wait"
    condition = next(own for own in decision.status.status["conditions"] if own["type"] == "PodScheduled")
    return str(condition["message"])


TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
ANTI: dict[str, Any] = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}
        ]
    }
}
TOGETHER: dict[str, Any] = {
    "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}
        ]
    }
}
ZONE_IN: dict[str, Any] = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}]
        }
    }
}
DB = pod("c", metadata={"labels": {"app": "db"}, "name": "db", "uid": "db"})

CASES: list[tuple[str, Decision[SchedulerAction], str]] = [
    ("there is no node", schedule(pod("c"), []), "no nodes available to schedule pods"),
    ("one node with room", schedule(pod("c"), [node()]), "node1"),
    (
        "too little memory",
        schedule(pod(asks(memory="9Gi")), [node()]),
        "0/1 nodes are available: 1 Insufficient memory.",
    ),
    (
        "each node counts once per reason",
        schedule(pod(asks(memory="9Gi", cpu="5")), [node("a"), node("b"), node("c", cpu="8")]),
        "0/3 nodes are available: 2 Insufficient cpu, 3 Insufficient memory.",
    ),
    (
        "what pods there have asked for is taken",
        schedule(pod(asks(cpu="3")), [node()], [("node1", pod(asks(cpu="2")))]),
        "0/1 nodes are available: 1 Insufficient cpu.",
    ),
    (
        "an extended resource that no node has",
        schedule(pod(asks(devices__tun="1")), [node()]),
        "0/1 nodes are available: 1 Insufficient devices/tun.",
    ),
    (
        "an extended resource that one has",
        schedule(pod(asks(devices__tun="1")), [node("a"), node("b", resources={"devices/tun": "5"})]),
        "b",
    ),
    (
        "the node is full of pods",
        schedule(pod("c"), [node(pods="1")], [("node1", pod("x"))]),
        "0/1 nodes are available: 1 Too many pods.",
    ),
    (
        "a cordoned node",
        schedule(pod("c"), [node(unschedulable=True)]),
        "0/1 nodes are available: 1 node(s) were unschedulable.",
    ),
    (
        "a taint",
        schedule(pod("c"), [node(taints=[TAINT])]),
        "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.",
    ),
    (
        "a tolerated taint",
        schedule(pod("c", tolerations=[{"key": "dedicated", "operator": "Exists"}]), [node(taints=[TAINT])]),
        "node1",
    ),
    (
        "a toleration of another value",
        schedule(pod("c", tolerations=[{"key": "dedicated", "value": "web"}]), [node(taints=[TAINT])]),
        "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.",
    ),
    (
        "a node selector",
        schedule(
            pod("c", nodeSelector={"zone": "b"}), [node("a", labels={"zone": "a"}), node("b", labels={"zone": "b"})]
        ),
        "b",
    ),
    (
        "a node selector that nothing matches",
        schedule(pod("c", nodeSelector={"zone": "x"}), [node()]),
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    ),
    ("required node affinity", schedule(pod("c", affinity=ZONE_IN), [node("a"), node("b", labels={"zone": "b"})]), "b"),
    ("anti-affinity goes elsewhere", schedule(pod("c", affinity=ANTI), [node("a"), node("b")], [("a", DB)]), "b"),
    (
        "anti-affinity with nowhere to go",
        schedule(pod("c", affinity=ANTI), [node("a")], [("a", DB)]),
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
    ),
    (
        "the anti-affinity of a pod that is there",
        schedule(DB, [node("a")], [("a", pod("c", affinity=ANTI, metadata={"uid": "x"}))]),
        "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
    ),
    ("affinity goes along", schedule(pod("c", affinity=TOGETHER), [node("a"), node("b")], [("b", DB)]), "b"),
    (
        "affinity to nobody",
        schedule(pod("c", affinity=TOGETHER), [node("a")]),
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.",
    ),
    (
        "affinity to one's own kind lets the first one in",
        schedule(pod("c", affinity=TOGETHER, metadata={"labels": {"app": "db"}}), [node("a")]),
        "a",
    ),
    (
        "a port of the node that is taken",
        schedule(
            pod({"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}),
            [node()],
            [("node1", pod({"name": "c", "ports": [{"containerPort": 8080, "hostPort": 80, "hostIP": "10.0.0.1"}]}))],
        ),
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    ),
    ("the emptier node wins", schedule(pod("c"), [node("a"), node("b")], [("a", pod(asks(cpu="1")))]), "b"),
    ("of equal nodes the first", schedule(pod("c"), [node("b"), node("a")]), "a"),
    (
        "gates hold a pod back",
        schedule(pod("c", schedulingGates=[{"name": "wait"}]), [node()]),
        "Scheduling is blocked due to non-empty scheduling gates",
    ),
    (
        "a claim that does not exist",
        schedule(pod("c"), [node()], claims=(ClaimView("disk", exists=False, bound=False),)),
        '0/1 nodes are available: persistentvolumeclaim "disk" not found.',
    ),
    (
        "a claim without a volume",
        schedule(pod("c"), [node()], claims=(ClaimView("disk", exists=True, bound=False),)),
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
    ),
    (
        "a claim whose class waits for a node gets one",
        schedule(pod("c"), [node("a")], claims=(ClaimView("disk", exists=True, bound=False, late=True),)),
        "select a for default/disk",
    ),
    (
        "the pod waits while the volume is made",
        schedule(pod("c"), [node("a")], claims=(ClaimView("disk", exists=True, bound=False, late=True, selected="a"),)),
        "wait",
    ),
    (
        "and says so when that takes long",
        schedule(
            pod("c", metadata={"creationTimestamp": "2020-01-01T00:00:00Z"}),
            [node("a")],
            claims=(ClaimView("disk", exists=True, bound=False, late=True, selected="a"),),
        ),
        "waiting for the volume of PersistentVolumeClaim disk on node a: see the claim's events",
    ),
    (
        "a second claim goes where the first one is",
        schedule(
            pod("c"),
            [node("a"), node("b")],
            claims=(
                ClaimView("one", exists=True, bound=True, reach=ON_B),
                ClaimView("two", exists=True, bound=False, late=True),
            ),
        ),
        "select b for default/two",
    ),
    (
        "a selected node that is gone is replaced",
        schedule(pod("c"), [node("a")], claims=(ClaimView("disk", exists=True, bound=False, late=True, selected="x"),)),
        "select a for default/disk",
    ),
    (
        "a volume of one node",
        schedule(pod("c"), [node("a"), node("b")], claims=(ClaimView("disk", exists=True, bound=True, reach=ON_B),)),
        "b",
    ),
    (
        "a volume of a node that is not there",
        schedule(pod("c"), [node("a")], claims=(ClaimView("disk", exists=True, bound=True, reach=ON_B),)),
        "0/1 nodes are available: 1 node(s) had volume node affinity conflict.",
    ),
    (
        "pods spread over domains",
        schedule(
            pod(
                "c",
                metadata={"labels": {"app": "db"}},
                topologySpreadConstraints=[
                    {
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": {"app": "db"}},
                    }
                ],
            ),
            [node("a"), node("b")],
            [("a", DB), ("b", pod("big", metadata={"uid": "other"}))],
        ),
        "b",
    ),
]


@pytest.mark.parametrize(("name", "decision", "expected"), CASES, ids=[case[0] for case in CASES])
def test_outcome(name: str, decision: Decision[SchedulerAction], expected: str) -> None:
    assert outcome(decision) == expected


def test_init_containers_count_by_the_largest_and_sidecars_beside_all() -> None:
    init = [
        {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
        {"name": "setup", "resources": {"requests": {"cpu": "3"}}},
    ]
    assert outcome(schedule(pod(asks(cpu="2"), initContainers=init), [node(cpu="4")])) == "node1"
    assert "Insufficient cpu" in outcome(schedule(pod(asks(cpu="2"), initContainers=init), [node(cpu="3900m")]))


def test_a_binding_names_the_pod_by_uid() -> None:
    decision = schedule(pod("c"), [node()])
    (action,) = decision.actions
    assert isinstance(action, Bind)
    assert (str(action.key), action.uid) == ("default/web", "11111111-2222-3333-4444-555555555555")
    assert decision.events == ()


def test_a_binding_is_told_after_the_pod_was_told_to_fit_nowhere() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    decision = schedule(pod("c", status={"conditions": [condition]}), [node()])
    assert [event.message for event in decision.events] == ["Successfully assigned default/web to node1"]


def test_the_same_reason_is_told_once() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "no nodes available to schedule pods",
    }
    assert schedule(pod("c", status={"conditions": [condition]}), []) == Decision()
