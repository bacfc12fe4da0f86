"""Pools of machines: names, which go first, how they follow the template, and how broken ones are replaced."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from kobune.api.cdi import DataVolume
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.api.pool import VirtualMachinePool
from kobune.base.clock import format_time
from kobune.kube.client.errors import Invalid
from kobune.kube.runtime import Create, Decision, Delete, PatchObject
from kobune.virt.controllers.pool.decide import Observed, decide, refused
from kobune.virt.controllers.pool.members import REVISION_LABEL, member_spec
from support.vms import NOW, instance_dict, machine_dict, spec

_OWNER = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "uid": "vm-0", "name": "p-0"}


def pool(replicas: int, generation: int = 1, template: dict[str, Any] | None = None, **more: Any) -> VirtualMachinePool:
    raw = {
        "metadata": {"name": "p", "namespace": "ns", "uid": "pool-uid", "generation": generation},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "x"}},
            "virtualMachineTemplate": template
            or {"metadata": {"labels": {"app": "x"}}, "spec": machine_dict()["spec"]},
            **more,
        },
    }
    return msgspec.convert(raw, VirtualMachinePool)


def revision(observed: VirtualMachinePool) -> dict[str, Any]:
    return {"metadata": {"uid": f"rev-{observed.metadata.generation}"}, "data": msgspec.to_builtins(observed.spec)}


def member(number: int, made_from: str = "p-1", **more: Any) -> VirtualMachine:
    raw = machine_dict(name=f"p-{number}", uid=f"vm-{number}", labels={REVISION_LABEL: made_from}, **more)
    return msgspec.convert(raw, VirtualMachine)


def guest(number: int, made_from: str = "p-1", *, ready: bool = True) -> VirtualMachineInstance:
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    raw = instance_dict(
        name=f"p-{number}", uid=f"vmi-{number}", phase="Running", status=status, labels={REVISION_LABEL: made_from}
    )
    return msgspec.convert(raw, VirtualMachineInstance)


def of_pool(
    observed: VirtualMachinePool, *machines: VirtualMachine, revisions: Any = None, guests: Any = (), disks: Any = None
) -> Decision[Any]:
    kept = {f"p-{observed.metadata.generation}": revision(observed)} if revisions is None else revisions
    instances = {vmi.metadata.name: vmi for vmi in guests}
    return decide(Observed(observed, machines, kept, NOW, instances, disks or {}))


def created(decision: Decision[Any]) -> list[str]:
    return [action.obj["metadata"]["name"] for action in decision.actions if isinstance(action, Create)]


def deleted(decision: Decision[Any], plural: str = "virtualmachines") -> list[str]:
    return [
        action.key.name
        for action in decision.actions
        if isinstance(action, Delete) and action.resource.plural == plural
    ]


def test_machines_of_a_pool_are_numbered_and_the_highest_go_first() -> None:
    assert created(of_pool(pool(2), revisions={})) == ["p-1", "p-0", "p-1"]  # the revision, then the machines
    assert created(of_pool(pool(2), member(1))) == ["p-0"]
    assert deleted(of_pool(pool(1), member(0), member(10), member(2))) == ["p-10", "p-2"]


@pytest.mark.parametrize(
    ("strategy", "gone"),
    [
        ({"unmanaged": {}}, []),
        # People take machines away themselves.
        ({"opportunistic": {}}, []),
        ({"proactive": {}}, ["p-2"]),
        ({"proactive": {"selectionPolicy": {"sortPolicy": "AscendingOrder"}}}, ["p-0"]),
        ({"proactive": {"selectionPolicy": {"sortPolicy": "Oldest"}}}, ["p-1"]),
        ({"proactive": {"selectionPolicy": {"sortPolicy": "Newest"}}}, ["p-0"]),
    ],
)
def test_the_strategy_says_which_machines_go(strategy: dict[str, Any], gone: list[str]) -> None:
    ages = {0: "2026-01-01T00:00:03Z", 1: "2026-01-01T00:00:01Z", 2: "2026-01-01T00:00:02Z"}
    machines = [member(number, creationTimestamp=age) for number, age in ages.items()]
    decision = of_pool(pool(2, scaleInStrategy=strategy), *machines, guests=(guest(0), guest(2)))
    assert deleted(decision) == gone


def test_selected_machines_go_before_the_others() -> None:
    selectors = {"nodeSelectorRequirementMatcher": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    raw = machine_dict(name="p-0", uid="vm-0", labels={REVISION_LABEL: "p-1"})
    raw["spec"]["template"]["spec"]["nodeSelector"] = {"zone": "a"}
    in_zone = msgspec.convert(raw, VirtualMachine)
    strategy = {"proactive": {"selectionPolicy": {"selectors": selectors}}}
    assert deleted(of_pool(pool(1, scaleInStrategy=strategy), in_zone, member(1))) == ["p-0"]


def test_kept_disks_lose_their_owner_first() -> None:
    disk = msgspec.convert(
        {"metadata": {"name": "d-0", "namespace": "ns", "ownerReferences": [_OWNER]}, "spec": {}},
        DataVolume,
    )
    strategy = {"proactive": {"statePreservation": "Offline"}}
    first, second = of_pool(pool(0, scaleInStrategy=strategy), member(0), disks={"vm-0": (disk,)}).actions
    assert isinstance(first, PatchObject)
    assert first.patch.body["metadata"]["ownerReferences"] == []
    assert isinstance(second, Delete)


def test_disks_are_kept_when_people_take_machines_away() -> None:
    disk = msgspec.convert(
        {"metadata": {"name": "d-0", "namespace": "ns", "ownerReferences": [_OWNER]}, "spec": {}}, DataVolume
    )
    strategy = {"opportunistic": {"statePreservation": "Offline"}}
    going = member(0, deletionTimestamp="2026-01-01T00:00:00Z")
    (patch,) = of_pool(pool(1, scaleInStrategy=strategy), going, disks={"vm-0": (disk,)}).actions
    assert isinstance(patch, PatchObject)
    assert patch.key.name == "d-0"


def test_the_number_of_a_machine_is_free_when_it_is_gone() -> None:
    going = member(0, deletionTimestamp="2026-01-01T00:00:00Z")
    assert created(of_pool(pool(2), going, member(1))) == []
    assert created(of_pool(pool(2), member(1))) == ["p-0"]
    assert deleted(of_pool(pool(1), going, member(1))) == []


def test_machines_have_disks_and_configuration_of_their_own() -> None:
    volumes = [
        {"name": "root", "dataVolume": {"name": "disk"}},
        {"name": "cfg", "configMap": {"name": "cfg"}},
        {"name": "ci", "cloudInitNoCloud": {"secretRef": {"name": "ci"}}},
    ]
    machine: dict[str, Any] = {
        "dataVolumeTemplates": [{"metadata": {"name": "disk"}, "spec": {}}],
        "template": {"metadata": {}, "spec": spec(volumes=volumes)},
    }
    naming = {"appendIndexToConfigMapRefs": True, "appendIndexToSecretRefs": True}
    made = member_spec(pool(1, template={"metadata": {}, "spec": machine}, nameGeneration=naming), "p-3")
    assert made["dataVolumeTemplates"][0]["metadata"]["name"] == "disk-3"
    root, config, cloud_init = made["template"]["spec"]["volumes"]
    assert root["dataVolume"]["name"] == "disk-3"
    assert config["configMap"]["name"] == "cfg-3"
    assert cloud_init["cloudInitNoCloud"]["secretRef"]["name"] == "ci-3"
    shared = member_spec(pool(1, template={"metadata": {}, "spec": machine}), "p-3")
    assert shared["template"]["spec"]["volumes"][1]["configMap"]["name"] == "cfg"
    assert shared["template"]["metadata"]["labels"] == {REVISION_LABEL: "p-1"}


def changed(generation: int = 2, replicas: int = 3, **more: Any) -> VirtualMachinePool:
    machine = machine_dict()["spec"]
    machine["template"]["spec"]["terminationGracePeriodSeconds"] = 7
    template = {"metadata": {"labels": {"app": "x"}}, "spec": machine}
    return pool(replicas, generation=generation, template=template, **more)


BOTH = {"p-1": revision(pool(3)), "p-2": revision(changed())}


def test_another_count_is_no_other_template() -> None:
    revisions = {"p-1": revision(pool(1)), "p-2": revision(pool(2, generation=2))}
    decision = of_pool(pool(1, generation=2), member(0), guests=(guest(0),), revisions=revisions)
    assert decision.actions == ()


def test_machines_get_the_new_template_and_keep_their_identity() -> None:
    raw = machine_dict(name="p-0", uid="vm-0", labels={REVISION_LABEL: "p-1", "mine": "1"})
    raw["spec"]["template"]["spec"]["domain"]["firmware"] = {"uuid": "u"}
    (patch,) = of_pool(changed(replicas=1), msgspec.convert(raw, VirtualMachine), revisions=BOTH).actions
    assert isinstance(patch, PatchObject)
    _, labels, replaced = patch.patch.body
    assert labels["value"] == {REVISION_LABEL: "p-2", "mine": "1", "app": "x"}
    assert replaced["value"]["template"]["spec"]["domain"]["firmware"] == {"uuid": "u"}
    assert replaced["value"]["template"]["spec"]["terminationGracePeriodSeconds"] == 7


@pytest.mark.parametrize(
    ("more", "ended"),
    [
        ({}, ["p-2", "p-1", "p-0"]),
        ({"maxUnavailable": 1}, ["p-2"]),
        ({"maxUnavailable": "67%"}, ["p-2", "p-1"]),
        ({"updateStrategy": {"opportunistic": {}}}, []),
        ({"updateStrategy": {"unmanaged": {}}}, []),
        (
            {
                "maxUnavailable": 1,
                "updateStrategy": {"proactive": {"selectionPolicy": {"sortPolicy": "AscendingOrder"}}},
            },
            ["p-0"],
        ),
    ],
)
def test_guests_with_an_old_template_are_restarted_a_few_at_a_time(more: dict[str, Any], ended: list[str]) -> None:
    machines = [member(number, "p-2") for number in range(3)]
    decision = of_pool(changed(**more), *machines, guests=[guest(number) for number in range(3)], revisions=BOTH)
    assert deleted(decision, "virtualmachineinstances") == ended


def test_a_guest_that_is_away_already_counts_but_may_be_replaced() -> None:
    machines = [member(number, "p-2") for number in range(3)]
    guests = (guest(0), guest(1), guest(2, ready=False))
    decision = of_pool(changed(maxUnavailable=1), *machines, guests=guests, revisions=BOTH)
    assert deleted(decision, "virtualmachineinstances") == ["p-2"]


def test_other_disks_make_another_machine() -> None:
    machine = machine_dict()["spec"]
    machine["dataVolumeTemplates"] = [{"metadata": {"name": "disk"}, "spec": {}}]
    newer = pool(1, generation=2, template={"metadata": {"labels": {"app": "x"}}, "spec": machine})
    revisions = {"p-1": revision(pool(1)), "p-2": revision(newer)}
    assert deleted(of_pool(newer, member(0, "p-2"), guests=(guest(0),), revisions=revisions)) == ["p-0"]


def test_unused_revisions_go() -> None:
    decision = of_pool(changed(replicas=1), member(0, "p-2"), guests=(guest(0, "p-2"),), revisions=BOTH)
    assert deleted(decision, "controllerrevisions") == ["p-1"]


@pytest.mark.parametrize(
    ("status", "minutes", "gone"),
    [
        ({"startFailure": {"consecutiveFailCount": 3}}, 0, ["p-0"]),
        ({"startFailure": {"consecutiveFailCount": 2}}, 6, []),
        ({"startFailure": {"consecutiveFailCount": 2}, "printableStatus": "CrashLoopBackOff"}, 6, ["p-0"]),
        ({"printableStatus": "ErrorUnschedulable"}, 6, ["p-0"]),
        ({"printableStatus": "ErrorUnschedulable"}, 4, []),
        ({"printableStatus": "Stopped"}, 6, []),
    ],
)
def test_machines_that_never_start_are_replaced(status: dict[str, Any], minutes: int, gone: list[str]) -> None:
    since = format_time(NOW - timedelta(minutes=minutes))
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": since}
    failing = member(0, status={**status, "conditions": [ready]})
    decision = of_pool(pool(1, autohealing={}), failing)
    assert deleted(decision) == gone
    assert (decision.requeue_after is not None) == (minutes == 4)
    assert deleted(of_pool(pool(1), failing)) == []


@pytest.mark.parametrize(
    ("selected", "updated"),
    [({"app": "x"}, ["p-0"]), ({"app": "y"}, [])],
)
def test_an_update_strategy_may_select_who_follows(selected: dict[str, str], updated: list[str]) -> None:
    selectors = {"labelSelector": {"matchLabels": selected}}
    raw = machine_dict(name="p-0", uid="vm-0", labels={REVISION_LABEL: "p-1"})
    raw["spec"]["template"]["metadata"] = {"labels": {"app": "x"}}
    strategy = {"proactive": {"selectionPolicy": {"selectors": selectors}}}
    decision = of_pool(
        changed(replicas=1, updateStrategy=strategy), msgspec.convert(raw, VirtualMachine), revisions=BOTH
    )
    assert [item.key.name for item in decision.actions if isinstance(item, PatchObject)] == updated


def test_a_revision_is_kept_when_machines_are_made_from_it() -> None:
    assert [item.obj["metadata"]["name"] for item in of_pool(pool(0), revisions={}).actions] == []
    kept, made = of_pool(pool(1), revisions={}).actions
    assert isinstance(kept, Create)
    assert isinstance(made, Create)
    assert (kept.resource.plural, made.resource.plural) == ("controllerrevisions", "virtualmachines")


def test_what_the_api_refuses_is_a_condition_of_the_pool() -> None:
    seen = Observed(pool(1), (), {}, NOW)
    (kept, made) = decide(seen).actions
    error = Invalid(422, "Invalid", "no such field")
    assert refused(seen, kept, error) is None
    said = refused(seen, made, error)
    assert said is not None
    assert said.status is not None
    (condition,) = said.status.status["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedScaleOut")
    assert condition["message"] == "error during scale out: no such field"
    assert [event.reason for event in said.events] == ["FailedCreate", "FailedScaleOut"]
    told = msgspec.convert({**msgspec.to_builtins(pool(0)), "status": said.status.status}, VirtualMachinePool)
    healed = decide(Observed(told, (), {}, NOW))
    assert healed.status is not None
    assert not healed.status.status["conditions"]


def test_a_paused_pool_does_nothing_and_says_so() -> None:
    decision = of_pool(pool(2, paused=True))
    assert decision.actions == ()
    assert [event.reason for event in decision.events] == ["SuccessfulPaused"]
    assert decision.status is not None
    (condition,) = decision.status.status["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaPaused", "SuccessfulPaused")
