"""Replica sets: how many, which names, which go first. And kinds that wait for their controllers."""

from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachineInstanceReplicaSet
from kobune.api.meta import LabelSelector, LabelSelectorRequirement
from kobune.kube.client.resource import Resource
from kobune.kube.client.selectors import render_selector
from kobune.kube.runtime import Create, Decision, Delete, PatchObject
from kobune.virt.controllers.pending import decide as pending
from kobune.virt.controllers.replicaset import decide as replica_sets
from support.vms import NOW, instance, machine, spec


def replica_set(replicas: int, **more: Any) -> VirtualMachineInstanceReplicaSet:
    raw = {
        "metadata": {"name": "rs", "namespace": "ns", "uid": "rs-uid"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": spec()},
            **more,
        },
    }
    return msgspec.convert(raw, VirtualMachineInstanceReplicaSet)


def of_set(replicas: int, *instances: Any, **more: Any) -> Decision[Any]:
    return replica_sets.decide(replica_sets.Observed(replica_set(replicas, **more), instances, NOW))


def created(decision: Decision[Any]) -> list[str]:
    return [action.obj["metadata"]["name"] for action in decision.actions if isinstance(action, Create)]


def deleted(decision: Decision[Any]) -> list[str]:
    return [action.key.name for action in decision.actions if isinstance(action, Delete)]


def test_missing_instances_get_the_same_names_at_every_attempt() -> None:
    first = created(of_set(2))
    assert len(set(first)) == 2
    assert created(of_set(2)) == first
    # One is there already, or still on its way out: its name is not used.
    assert created(of_set(2, instance(phase="Running", name=first[0]))) == [first[1]]
    leaving = instance(phase="Running", name=first[0], deletionTimestamp="2026-01-01T00:00:00Z")
    assert first[0] not in created(of_set(2, leaving))


def test_those_that_do_not_run_go_first_and_ended_ones_always() -> None:
    running = instance(phase="Running", name="a", uid="a")
    starting = instance(phase="Scheduling", name="b", uid="b")
    assert deleted(of_set(1, running, starting)) == ["b"]
    failed = instance(phase="Failed", name="c", uid="c")
    assert deleted(of_set(1, running, failed)) == ["c"]
    assert of_set(0, running, paused=True).actions == ()


def test_the_status_counts_and_carries_the_selector() -> None:
    ready = instance(phase="Running", name="a", status={"conditions": [{"type": "Ready", "status": "True"}]})
    decision = of_set(1, ready)
    assert decision.status is not None
    assert decision.status.status == {"labelSelector": "app=x", "replicas": 1, "readyReplicas": 1}


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (LabelSelector(match_labels={"b": "2", "a": "1"}), "a=1,b=2"),
        (
            LabelSelector(
                match_expressions=[
                    LabelSelectorRequirement(key="k", operator="In", values=["y", "x"]),
                    LabelSelectorRequirement(key="e", operator="Exists"),
                    LabelSelectorRequirement(key="n", operator="DoesNotExist"),
                ]
            ),
            "k in (x,y),e,!n",
        ),
    ],
)
def test_selectors_are_written_as_on_a_command_line(selector: LabelSelector, text: str) -> None:
    assert render_selector(selector) == text


def test_kinds_that_nobody_acts_upon_say_so_once() -> None:
    resource: Resource[dict[str, Any]] = Resource(
        "export.kubevirt.io", "v1", "virtualmachineexports", "VirtualMachineExport", True, dict
    )
    obj: dict[str, Any] = {"metadata": {"name": "s", "namespace": "ns"}}
    decision = pending.decide(pending.Observed(resource, obj, NOW))
    assert decision.status is not None
    (condition,) = decision.status.status["conditions"]
    assert condition["message"] == "VirtualMachineExport is not supported yet; nothing was done"
    told: dict[str, Any] = {**obj, "status": decision.status.status}
    assert pending.decide(pending.Observed(resource, told, NOW)) == Decision()


def test_a_deleted_migration_is_let_go() -> None:
    resource: Resource[dict[str, Any]] = Resource(
        "kubevirt.io", "v1", "virtualmachineinstancemigrations", "VirtualMachineInstanceMigration", True, dict
    )
    metadata = {
        "name": "m",
        "namespace": "ns",
        "finalizers": ["kubevirt.io/migrationJobFinalize", "other"],
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    }
    (patch,) = pending.decide(pending.Observed(resource, {"metadata": metadata}, NOW)).actions
    assert isinstance(patch, PatchObject)
    assert patch.patch.body["metadata"]["finalizers"] == ["other"]


def test_an_export_of_a_machine_without_disks_of_its_own_says_so() -> None:
    resource: Resource[dict[str, Any]] = Resource(
        "export.kubevirt.io", "v1", "virtualmachineexports", "VirtualMachineExport", True, dict
    )
    obj: dict[str, Any] = {"metadata": {"name": "e", "namespace": "ns"}}
    decision = pending.decide(pending.Observed(resource, obj, NOW, machine()))
    assert decision.status is not None
    (condition,) = decision.status.status["conditions"]
    assert (decision.status.status["phase"], condition["reason"]) == ("Skipped", "VMNoVolumes")
