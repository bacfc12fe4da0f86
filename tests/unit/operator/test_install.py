"""Installing: everything once, nothing twice, and what was lost comes back."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kobune.api.crd import all_definitions
from kobune.kube.client.core import SECRETS
from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch, WatchEventType
from kobune.kube.testing import FakeApi
from kobune.operator.install import InstallOptions, NotEstablished, install
from kobune.operator.manifests import base_manifests
from kobune.operator.roles import roles
from kobune.operator.workloads import WorkloadImages

DEFINITIONS: Resource[dict[str, Any]] = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False, dict
)
WRITES = ("create", "replace", "patch", "apply", "delete")


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    """An API that establishes definitions, as the real one does."""
    api = FakeApi()

    async def establish() -> None:
        async for event in api.watch(DEFINITIONS, resource_version="0", timeout_s=60):
            if event.type is WatchEventType.ADDED and event.object is not None:
                status = {"conditions": [{"type": "Established", "status": "True"}]}
                name = event.object["metadata"]["name"]
                await api.patch(DEFINITIONS, name, Patch.merge({"status": status}), subresource="status")

    task = asyncio.ensure_future(establish())
    yield api
    task.cancel()


def _writes(api: FakeApi) -> int:
    return sum(request.verb in WRITES and request.plural != "customresourcedefinitions" for request in api.requests)


async def test_the_second_installation_writes_nothing(api: FakeApi) -> None:
    await install(api)
    assert _writes(api) > 20
    api.requests.clear()
    await install(api)
    assert _writes(api) == 0


async def test_what_was_removed_or_changed_comes_back(api: FakeApi) -> None:
    await install(api)
    before = await api.get(SECRETS, "kobune-virt-api-certs", "kobune")
    authority = await api.get(SECRETS, "kobune-ca", "kobune")
    await api.delete(SECRETS, "kobune-virt-api-certs", "kobune")
    await install(api)
    after = await api.get(SECRETS, "kobune-virt-api-certs", "kobune")
    assert after.data["tls.crt"] != before.data["tls.crt"]
    assert after.data["ca.crt"] == before.data["ca.crt"] == authority.data["tls.crt"]


async def test_the_installation_names_its_release_but_does_not_claim_that_it_works(api: FakeApi) -> None:
    await install(api)
    found = await api.get(KUBEVIRTS, "kubevirt", "kubevirt")
    assert found.status.phase == "Deploying"
    assert found.status.target_kube_virt_version == found.status.operator_version
    assert found.status.conditions == []


async def test_an_installation_of_an_earlier_release_stays_where_it_is(api: FakeApi) -> None:
    await api.create(KUBEVIRTS, {"metadata": {"name": "kobune"}, "spec": {}}, "kobune")
    await install(api)
    assert [item.metadata.namespace for item in (await api.list(KUBEVIRTS)).items] == ["kobune"]
    assert (await api.get(KUBEVIRTS, "kobune", "kobune")).status.target_kube_virt_version is not None


async def test_workloads_are_only_for_clusters(api: FakeApi) -> None:
    deployments: Resource[dict[str, Any]] = Resource("apps", "v1", "deployments", "Deployment", True, dict)
    policies: Resource[dict[str, Any]] = Resource(
        "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False, dict
    )
    await install(api)
    assert (await api.list(deployments, "kobune")).items == []
    assert (await api.list(policies)).items == []
    await install(api, InstallOptions(in_cluster=True, images=WorkloadImages("kobune:1", "launcher:1")))
    names = {item["metadata"]["name"] for item in (await api.list(deployments, "kobune")).items}
    assert names == {"kobune-virt-api", "kobune-virt-controller"}
    names = {item["metadata"]["name"] for item in (await api.list(policies)).items}
    assert names == {"kobune-virt-handler-own-node", "kobune-virt-handler-own-instances"}


async def test_definitions_that_are_not_taken_over_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kobune.operator.install.ESTABLISH_TIMEOUT_S", 0.2)
    with pytest.raises(NotEstablished, match=r"virtualmachines\.kubevirt\.io"):
        await install(FakeApi())


def test_every_manifest_is_labelled_and_named_once() -> None:
    manifests = base_manifests()
    identities = [(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in manifests]
    assert len(set(identities)) == len(identities)
    assert all(item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kobune" for item in manifests)


def test_components_get_no_wildcards_on_the_core_group_and_no_foreign_secrets() -> None:
    for role in roles("kobune"):
        if not re.match(r"kobune-", role["metadata"]["name"]) or "rules" not in role:
            continue
        for rule in role["rules"]:
            assert "*" not in rule["verbs"]
            assert "*" not in rule["apiGroups"]
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"], "secrets only by name"
                assert role["metadata"]["namespace"] == "kobune"


def test_definitions_keep_one_stored_version() -> None:
    for definition in all_definitions():
        versions = definition["spec"]["versions"]
        assert [version["storage"] for version in versions].count(True) == 1
        assert all(version["served"] for version in versions)
