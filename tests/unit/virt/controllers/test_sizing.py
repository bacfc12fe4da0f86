"""A machine keeps the instancetype that it was made with."""

from typing import Any

import msgspec

from kobune.api.kubevirt import InstancetypeMatcher, InstancetypeStatusRef, PreferenceMatcher
from kobune.kube.runtime import Create
from kobune.virt.controllers.virtualmachine.decide import Observed, decide
from kobune.virt.controllers.virtualmachine.sizing import (
    Sizing,
    kind_of,
    new_part,
    recorded_part,
    recorded_revision,
)
from support.vms import NOW, condition, machine

SMALL: dict[str, Any] = {
    "metadata": {"name": "small", "uid": "it-uid", "generation": 2},
    "spec": {"cpu": {"guest": 2}, "memory": {"guest": "128Mi"}},
}


def test_a_matcher_without_a_kind_means_the_cluster_s() -> None:
    assert kind_of(InstancetypeMatcher(name="a")) == "VirtualMachineClusterInstancetype"
    assert kind_of(PreferenceMatcher(name="a")) == "VirtualMachineClusterPreference"
    assert kind_of(InstancetypeMatcher(name="a", kind="virtualmachineinstancetypes")) == "VirtualMachineInstancetype"


def test_the_type_is_recorded_before_it_is_used_and_then_from_the_record() -> None:
    part = new_part(machine(), "VirtualMachineInstancetype", SMALL)
    first = decide(Observed(machine(strategy="Halted"), None, False, None, NOW, Sizing(instancetype=part)))
    (create,) = first.actions
    assert isinstance(create, Create)
    assert create.obj["metadata"]["name"] == "vm-small-v1beta1-it-uid-2"
    assert first.status is not None
    reference = first.status.status["instancetypeRef"]
    assert reference["controllerRevisionRef"] == {"name": "vm-small-v1beta1-it-uid-2"}

    recorded = msgspec.convert(reference, InstancetypeStatusRef)
    matcher = InstancetypeMatcher(name="small", kind="VirtualMachineInstancetype")
    assert recorded_revision(matcher, recorded) == "vm-small-v1beta1-it-uid-2"
    # Another name in the machine means another type.
    assert recorded_revision(InstancetypeMatcher(name="big", kind=matcher.kind), recorded) == ""
    kept = recorded_part("VirtualMachineInstancetype", "small", create.obj)
    assert (kept.spec, kept.revision) == (SMALL["spec"], None)


def test_the_instance_gets_size_and_annotations_of_the_type() -> None:
    part = recorded_part("VirtualMachineInstancetype", "small", {"metadata": {"name": "r"}, "data": SMALL})
    vm = machine()
    actions = decide(Observed(vm, None, False, None, NOW, Sizing(instancetype=part))).actions
    instance = actions[-1]
    assert isinstance(instance, Create)
    domain = instance.obj["spec"]["domain"]
    assert domain["cpu"] == {"cores": 1, "sockets": 2, "threads": 1, "maxSockets": 8}
    assert domain["memory"] == {"guest": "128Mi"}
    assert instance.obj["metadata"]["annotations"]["kubevirt.io/instancetype-name"] == "small"


def test_a_missing_type_is_told_and_nothing_starts() -> None:
    missing = Sizing(missing="VirtualMachineInstancetype gone", missing_reason="FailedFindInstancetype")
    decision = decide(Observed(machine(), None, False, None, NOW, missing))
    assert decision.actions == ()
    assert decision.status is not None
    assert condition(decision.status.status, "Failure")["reason"] == "FailedFindInstancetype"
    assert [event.reason for event in decision.events] == ["FailedFindInstancetype"]
    told = machine(status=decision.status.status)
    again = decide(Observed(told, None, False, None, NOW, missing))
    assert again.events == ()
    found = decide(Observed(told, None, False, None, NOW, Sizing()))
    assert found.actions != ()
