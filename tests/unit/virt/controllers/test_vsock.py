"""Context ids of vsock devices."""

from typing import Any

from kobune.virt.controllers.virtualmachineinstance.decide import Observed, decide
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import PodSettings, launcher_pod
from kobune.virt.controllers.virtualmachineinstance.vsock import FIRST_CID, free_cid
from support.vms import NOW, VMI_UID, instance, launcher, spec

SETTINGS = PodSettings("launcher:1")


def with_vsock() -> dict[str, Any]:
    domain = spec()["domain"]
    return {"domain": {**domain, "devices": {**domain["devices"], "autoattachVSOCK": True}}}


def test_an_id_follows_from_the_uid_and_is_nobody_else_s() -> None:
    first = free_cid("a", frozenset())
    assert first == free_cid("a", frozenset()) >= FIRST_CID
    assert free_cid("a", frozenset({first})) != first
    assert free_cid("b", frozenset()) != first


def test_it_is_given_with_the_pod_and_stays() -> None:
    taken = frozenset({free_cid(VMI_UID, frozenset())})
    vmi = instance(spec_changes=with_vsock())
    decision = decide(Observed(vmi, (launcher(),), NOW, SETTINGS, taken_cids=taken))
    assert decision.status is not None
    assert decision.status.status["VSOCKCID"] == free_cid(VMI_UID, taken)
    later = instance(spec_changes=with_vsock(), status={"VSOCKCID": 77})
    decision = decide(Observed(later, (launcher(),), NOW, SETTINGS, taken_cids=frozenset({77})))
    assert decision.status is not None
    assert decision.status.status["VSOCKCID"] == 77


def test_the_pod_waits_for_a_node_with_the_device() -> None:
    resources = launcher_pod(instance(spec_changes=with_vsock()), SETTINGS)["spec"]["containers"][0]["resources"]
    assert resources["limits"]["devices.kubevirt.io/vhost-vsock"] == "1"
