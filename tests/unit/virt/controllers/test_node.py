"""A silent virt-handler, the instances it leaves behind, and the pod that asks about a node's CPU."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kobune.api.core import Node, Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import format_time
from kobune.kube.client.core import NODES, PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, PatchObject
from kobune.virt.controllers.node.decide import Observed, decide

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE = "kobune/virt-launcher:1"


def node(age_s: float | None = 10, *, labels: dict[str, str] | None = None, asked_for: str = "") -> Node:
    """A node whose heartbeat is that old; None for one that never had a virt-handler."""
    annotations = {"kobune.io/cpu-facts": asked_for} if asked_for else {}
    if age_s is not None:
        annotations = {
            "kubevirt.io/heartbeat": format_time(NOW - timedelta(seconds=age_s)),
            "kobune.io/virt-handler-address": "10.0.0.1:8186",
            **annotations,
        }
    metadata = {
        "name": "n1",
        "uid": "node-uid",
        "resourceVersion": "7",
        "labels": labels or {"kubevirt.io/schedulable": "true"},
        "annotations": annotations,
    }
    return msgspec.convert(
        {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}, Node
    )


def vmi(uid: str, phase: str = "Running") -> VirtualMachineInstance:
    metadata = {"name": uid, "namespace": "d", "uid": uid, "resourceVersion": "3"}
    return msgspec.convert(
        {"metadata": metadata, "spec": {"domain": {"devices": {}}}, "status": {"phase": phase, "nodeName": "n1"}},
        VirtualMachineInstance,
    )


def launcher(uid: str, phase: str = "Running", *, ended: bool = False) -> Pod:
    owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": uid, "uid": uid}
    state: dict[str, Any] = {"terminated": {"exitCode": 1}} if ended else {"running": {}}
    return msgspec.convert(
        {
            "metadata": {"name": f"p-{uid}", "namespace": "d", "ownerReferences": [{**owner, "controller": True}]},
            "spec": {"nodeName": "n1", "containers": []},
            "status": {"phase": phase, "containerStatuses": [{"name": "compute", "state": state}]},
        },
        Pod,
    )


def facts_pod(phase: str = "Running", age_s: float = 1) -> Pod:
    metadata = {
        "name": "kobune-cpu-facts-n1",
        "namespace": "kobune",
        "uid": "facts",
        "creationTimestamp": format_time(NOW - timedelta(seconds=age_s)),
    }
    return msgspec.convert({"metadata": metadata, "spec": {"containers": []}, "status": {"phase": phase}}, Pod)


def decided(
    the_node: Node | None,
    *,
    instances: tuple[VirtualMachineInstance, ...] = (),
    launchers: tuple[Pod, ...] = (),
    facts: Pod | None = None,
) -> Decision[Action]:
    seen = Observed("n1", the_node, instances, launchers, facts, "kobune", IMAGE, "IfNotPresent", NOW)
    return decide(seen)


ANSWERED = f"{IMAGE} tcg"


def test_a_node_that_beats_is_looked_at_again_when_its_time_is_over() -> None:
    decision = decided(node(10, asked_for=ANSWERED), instances=(vmi("a"),))
    assert decision.actions == ()
    assert decision.requeue_after == timedelta(seconds=290)


def test_a_silent_node_takes_no_more_guests_and_loses_those_without_a_pod() -> None:
    alone, kept, ended, over = vmi("alone"), vmi("kept"), vmi("ended"), vmi("over", "Succeeded")
    decision = decided(
        node(301, asked_for=ANSWERED),
        instances=(alone, kept, ended, over),
        launchers=(launcher("kept"), launcher("ended", ended=True)),
    )
    first, *failures = decision.actions
    assert isinstance(first, PatchObject)
    assert first.resource is NODES
    assert first.patch.body == {"metadata": {"resourceVersion": "7", "labels": {"kubevirt.io/schedulable": "false"}}}
    assert [event.reason for event in decision.events] == ["NodeUnresponsive"]
    assert decision.requeue_after == timedelta(minutes=1)
    failed = {}
    for action in failures:
        assert isinstance(action, PatchObject)
        assert action.resource is VIRTUAL_MACHINE_INSTANCES
        assert isinstance(action.patch.body, dict)
        failed[action.key.name] = action.patch.body["status"]
    assert set(failed) == {"alone", "ended"}, "one has a pod that lives, one has ended before"
    assert failed["alone"]["phase"] == "Failed"
    assert failed["alone"]["reason"] == "NodeUnresponsive"


def test_a_silent_node_is_told_once() -> None:
    decision = decided(node(999, labels={"kubevirt.io/schedulable": "false"}))
    assert (decision.actions, decision.events) == ((), ())


def test_instances_of_a_node_that_is_gone_fail() -> None:
    decision = decided(None, instances=(vmi("a", "Scheduled"),))
    assert [type(action) for action in decision.actions] == [PatchObject]
    assert decision.requeue_after is None


def test_a_node_without_virt_handler_is_left_alone() -> None:
    decision = decided(node(None), instances=(vmi("a"),))
    assert decision == Decision()


def test_the_cpu_is_asked_about_once_per_image() -> None:
    (create,) = decided(node()).actions
    assert isinstance(create, Create)
    assert create.resource is PODS
    assert create.obj["spec"]["nodeName"] == "n1"
    assert create.obj["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert create.obj["spec"]["automountServiceAccountToken"] is False
    assert decided(node(), facts=facts_pod()).actions == (), "it is being asked"
    assert decided(node(asked_for=ANSWERED)).actions == ()
    assert len(decided(node(asked_for="another tcg")).actions) == 1


def test_a_pod_that_was_answered_goes() -> None:
    (delete,) = decided(node(asked_for=ANSWERED), facts=facts_pod()).actions
    assert isinstance(delete, Delete)
    assert delete.uid == "facts"


def test_a_failed_question_is_repeated_later() -> None:
    fresh = decided(node(), facts=facts_pod("Failed"))
    assert (fresh.actions, fresh.requeue_after) == ((), timedelta(minutes=1))
    (delete,) = decided(node(), facts=facts_pod("Failed", age_s=400)).actions
    assert isinstance(delete, Delete)
