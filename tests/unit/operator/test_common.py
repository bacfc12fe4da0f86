"""Common instancetypes and preferences: there unless unwanted, and never over somebody else's."""

import msgspec
import pytest

from kobune.api.instancetype import VirtualMachineClusterInstancetype, VirtualMachineClusterPreference
from kobune.base.quantity import to_bytes
from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.types import Patch
from kobune.kube.testing import FakeApi
from kobune.operator.apply import resource_of
from kobune.operator.common.install import install_common
from kobune.operator.common.instancetypes import instancetypes
from kobune.operator.common.preferences import preferences
from kobune.operator.manifests import kubevirt_resource

INSTANCETYPES = resource_of("VirtualMachineClusterInstancetype")
PREFERENCES = resource_of("VirtualMachineClusterPreference")


@pytest.fixture
async def api() -> FakeApi:
    api = FakeApi()
    await api.create(KUBEVIRTS, kubevirt_resource(), "kubevirt")
    return api


async def names(api: FakeApi) -> set[str]:
    found = [*(await api.list(INSTANCETYPES)).items, *(await api.list(PREFERENCES)).items]
    return {item["metadata"]["name"] for item in found}


async def test_they_are_made_once(api: FakeApi) -> None:
    await install_common(api)
    assert {"u1.small", "rt1.micro", "n1.8xlarge", "debian", "rhel.9.desktop", "windows.11.virtio"} <= await names(api)
    api.requests.clear()
    await install_common(api)
    assert {request.verb for request in api.requests} <= {"get", "list"}


async def test_they_go_when_they_are_not_wanted(api: FakeApi) -> None:
    await api.create(INSTANCETYPES, {"metadata": {"name": "own"}, "spec": {"cpu": {"guest": 1}}})
    await install_common(api)
    off = {"spec": {"configuration": {"commonInstancetypesDeployment": {"enabled": False}}}}
    await api.patch(KUBEVIRTS, "kubevirt", Patch.merge(off), "kubevirt")
    await install_common(api)
    assert await names(api) == {"own"}


async def test_somebody_elses_object_of_the_name_is_left_alone(api: FakeApi) -> None:
    await api.create(INSTANCETYPES, {"metadata": {"name": "u1.small"}, "spec": {"cpu": {"guest": 3}}})
    await install_common(api)
    assert (await api.get(INSTANCETYPES, "u1.small"))["spec"] == {"cpu": {"guest": 3}}


def test_names_are_unique_and_specs_are_of_the_published_types() -> None:
    made = [*instancetypes(), *preferences()]
    assert len({(item["kind"], item["metadata"]["name"]) for item in made}) == len(made)
    kinds = {item.__name__: item for item in (VirtualMachineClusterInstancetype, VirtualMachineClusterPreference)}
    for item in made:
        known = msgspec.to_builtins(msgspec.convert(item, kinds[item["kind"]]))["spec"]
        assert known.keys() == item["spec"].keys(), item["metadata"]["name"]


@pytest.mark.parametrize(("series", "gib_each"), [("u1", 4), ("o1", 4), ("cx1", 2), ("m1", 8), ("n1", 2), ("rt1", 4)])
def test_every_vcpu_of_a_series_has_the_same_memory(series: str, gib_each: int) -> None:
    for item in instancetypes():
        name, size = item["metadata"]["name"].split(".")
        if name == series and size.endswith("large"):
            spec = item["spec"]
            assert to_bytes(spec["memory"]["guest"]) == spec["cpu"]["guest"] * gib_each << 30
