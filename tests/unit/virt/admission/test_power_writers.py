"""A start or stop reaches the machine however often others write to it at the same time."""

from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.test_utils import make_mocked_request

from kobune.api.kubevirt import VirtualMachine
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Patch
from kobune.kube.testing import FakeApi
from kobune.virt.admission.subresources.failure import Failure
from kobune.virt.admission.subresources.machines import MachineVerbs
from support.vms import machine_dict

KEY = Key("ns", "vm")


class Busy(FakeApi):
    """Somebody else writes to the machine before each patch arrives: `status` and a label."""

    def __init__(self, **status: Any) -> None:
        super().__init__()
        self.status = status
        self.rounds = 0

    async def patch(
        self, resource: Resource[Any], name: str, patch: Patch, namespace: str = "", *, subresource: str = ""
    ) -> Any:
        self.rounds += 1

        def change(document: dict[str, Any]) -> None:
            document["metadata"]["labels"] = {"round": str(self.rounds)}
            document.setdefault("status", {}).update(self.status)

        self.edit(resource, KEY, change)
        return await super().patch(resource, name, patch, namespace, subresource=subresource)


async def call(api: FakeApi, verb: str, vm: VirtualMachine) -> web.StreamResponse:
    verbs = MachineVerbs(api, cast(Any, None), cast(Any, None))
    return await verbs.verbs[verb](make_mocked_request("PUT", "/", payload=EMPTY_PAYLOAD), vm, "")


@pytest.mark.parametrize("status", [{}, {"printableStatus": "Stopped"}], ids=["new", "seen before"])
async def test_a_start_is_not_refused_because_the_controller_writes(status: dict[str, Any]) -> None:
    api = Busy(printableStatus="Stopped")
    vm = api.seed(VIRTUAL_MACHINES, machine_dict(strategy="Manual", status=status))
    assert (await call(api, "start", vm)).status == 202
    found = api.peek(VIRTUAL_MACHINES, KEY)
    assert found is not None
    assert [request.action for request in found.status.state_change_requests] == ["Start"]
    assert found.status.printable_status == "Stopped"


async def test_a_request_that_came_between_is_not_overwritten() -> None:
    api = Busy(stateChangeRequests=[{"action": "Start"}])
    vm = api.seed(VIRTUAL_MACHINES, machine_dict(strategy="Manual", status={"printableStatus": "Stopped"}))
    with pytest.raises(Failure, match="already underway"):
        await call(api, "start", vm)
