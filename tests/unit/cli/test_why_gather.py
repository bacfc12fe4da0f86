"""What `kobune why` reads: only what the user may read, and nothing is concluded from the rest."""

from kobune.cli.why.explain import explain
from kobune.cli.why.gather import gather
from kobune.cli.why.show import show
from kobune.kube.client.errors import Forbidden
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.testing import FakeApi, Fault
from support.vms import instance_dict, machine_dict


async def test_what_may_not_be_read_is_left_out_and_told() -> None:
    api = FakeApi()
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    api.seed(VIRTUAL_MACHINES, machine_dict())
    api.seed(VIRTUAL_MACHINE_INSTANCES, instance_dict(phase="Scheduling", spec_changes={"volumes": [claim]}))
    for plural in ("pods", "persistentvolumeclaims", "events"):
        api.faults.add(Fault(plural=plural, error=Forbidden(403, "Forbidden", "no"), times=100))
    seen = await gather(api, "virtualmachines", "vm", "ns")
    assert seen.unreadable == ("pods", "persistentvolumeclaims", "events")
    assert seen.missing_claims == ()
    said = explain(seen)
    assert "you may not read" in said.summary
    screen = show(seen, said)
    assert "(not shown, as you may not read them: pods, persistentvolumeclaims, events)" in screen
    assert "Events:" not in screen
