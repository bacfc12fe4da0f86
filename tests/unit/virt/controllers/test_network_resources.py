"""What is asked about the networks of SR-IOV interfaces."""

from typing import Any

from kobune.kube.client.companions import NETWORK_ATTACHMENT_DEFINITIONS
from kobune.kube.testing import FakeApi
from kobune.virt.controllers.virtualmachineinstance.networks import RESOURCE_NAME
from kobune.virt.controllers.virtualmachineinstance.observe import network_resources
from support.vms import instance


def definition(name: str, **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": annotations}, "spec": {"config": "{}"}}


async def test_definitions_tell_the_resource_of_their_networks_and_missing_ones_are_known() -> None:
    api = FakeApi()
    api.seed(NETWORK_ATTACHMENT_DEFINITIONS, definition("fast", **{RESOURCE_NAME: "intel.com/vf"}), "ns")
    api.seed(NETWORK_ATTACHMENT_DEFINITIONS, definition("plain"), "infra")
    names = {"a": "fast", "b": "infra/plain", "c": "nowhere"}
    changes = {
        "domain": {
            "memory": {"guest": "64Mi"},
            "devices": {"interfaces": [*({"name": name, "sriov": {}} for name in names), {"name": "d", "bridge": {}}]},
        },
        "networks": [
            *({"name": name, "multus": {"networkName": network}} for name, network in names.items()),
            {"name": "d", "multus": {"networkName": "unseen"}},
        ],
    }
    found = await network_resources(api, instance(spec_changes=changes))
    assert found == {"ns/fast": "intel.com/vf", "infra/plain": "", "ns/nowhere": None}
    assert await network_resources(api, instance()) == {}
