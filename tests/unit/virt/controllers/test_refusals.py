"""What the API refuses is told where people look for it: in the status of what was to be made, and by its events."""

from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachineInstanceReplicaSet
from kobune.kube.client.errors import Forbidden, Invalid
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime import Create, Decision, PatchObject
from kobune.virt.controllers.replicaset import decide as replica_sets
from kobune.virt.controllers.virtualmachine import decide as machines
from kobune.virt.controllers.virtualmachine.refusals import refused as machine_refused
from kobune.virt.controllers.virtualmachineinstance import decide as instances
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import PodSettings
from kobune.virt.controllers.virtualmachineinstance.refusals import refused as instance_refused
from support.vms import NOW, instance, launcher, machine, spec

QUOTA = Forbidden(403, "Forbidden", "exceeded quota: tiny")
WRONG = Invalid(422, "Invalid", "no memory requested")


def conditions(decision: Decision[Any] | None) -> dict[str, dict[str, Any]]:
    assert decision is not None
    assert decision.status is not None
    return {item["type"]: item for item in decision.status.status.get("conditions", [])}


def making(decision: Decision[Any], plural: str) -> Create:
    return next(item for item in decision.actions if isinstance(item, Create) and item.resource.plural == plural)


def test_a_machine_says_why_its_instance_cannot_be_made_until_it_can() -> None:
    seen = machines.Observed(machine(), None, False, None, NOW)
    said = machine_refused(seen, making(machines.decide(seen), "virtualmachineinstances"), WRONG)
    failure = conditions(said)["Failure"]
    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert failure["message"] == "Failure while starting VMI: no memory requested"
    assert said is not None
    assert said.status is not None
    (event,) = said.events
    assert (event.type, event.reason) == ("Warning", "FailedCreate")
    assert event.message == "Error creating virtual machine instance: no memory requested"
    started = machines.Observed(machine(status=said.status.status), instance(), False, None, NOW)
    assert "Failure" not in conditions(machines.decide(started))


def test_other_actions_of_a_machine_are_nothing_special() -> None:
    seen = machines.Observed(machine(), None, False, None, NOW)
    patch = PatchObject(VIRTUAL_MACHINES, Key("ns", "vm"), Patch.merge({}))
    assert machine_refused(seen, patch, WRONG) is None


def test_an_instance_says_why_its_pod_cannot_be_made_until_it_can() -> None:
    seen = instances.Observed(instance(), (), NOW, PodSettings("launcher:1"))
    said = instance_refused(seen, making(instances.decide(seen), "pods"), QUOTA)
    synchronized = conditions(said)["Synchronized"]
    assert (synchronized["status"], synchronized["reason"]) == ("False", "FailedCreate")
    assert synchronized["message"] == "failed to create virtual machine pod: exceeded quota: tiny"
    assert said is not None
    assert said.status is not None
    assert [event.reason for event in said.events] == ["FailedCreate"]
    made = instances.Observed(instance(status=said.status.status), (launcher(),), NOW, PodSettings("launcher:1"))
    assert "Synchronized" not in conditions(instances.decide(made))


@pytest.mark.parametrize(("replicas", "running", "reason"), [(1, 0, "FailedCreate"), (0, 1, "FailedDelete")])
def test_a_replica_set_says_that_it_cannot_follow(replicas: int, running: int, reason: str) -> None:
    raw = {
        "metadata": {"name": "rs", "namespace": "ns", "uid": "rs-uid"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": spec()},
        },
    }
    replica_set = msgspec.convert(raw, VirtualMachineInstanceReplicaSet)
    seen = replica_sets.Observed(replica_set, (instance(phase="Running"),) * running, NOW)
    (action,) = replica_sets.decide(seen).actions
    said = replica_sets.refused(seen, action, QUOTA)
    failure = conditions(said)["ReplicaFailure"]
    assert (failure["status"], failure["reason"], failure["message"]) == ("True", reason, "exceeded quota: tiny")
    assert said is not None
    assert said.status is not None
    assert said.status.status.get("replicas", 0) == running
    healed = msgspec.convert({**raw, "status": said.status.status}, VirtualMachineInstanceReplicaSet)
    assert "ReplicaFailure" not in conditions(replica_sets.decide(replica_sets.Observed(healed, (), NOW)))
