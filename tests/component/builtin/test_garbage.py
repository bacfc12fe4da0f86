"""Garbage collection against a real API: background, foreground, orphan, several owners, custom resources."""

import asyncio
from typing import Any

import pytest

from kobune.kube.client.core import CONFIG_MAPS, NAMESPACES, SECRETS
from kobune.kube.client.errors import ApiError, NotFound
from kobune.kube.client.http import HttpClient
from kobune.kube.client.objects import owner_reference
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch, Propagation
from kobune.kube.testing import eventually_true

NAMESPACE = "default"
CRDS: Resource[dict[str, Any]] = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False, dict
)
BOATS: Resource[dict[str, Any]] = Resource("example.com", "v1", "boats", "Boat", True, dict)


def owned(name: str, *references: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "ownerReferences": list(references), **metadata}}


async def gone(client: HttpClient, resource: Resource[Any], name: str) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                await client.get(resource, name, NAMESPACE)
            except NotFound:
                return
            await asyncio.sleep(0.02)


async def test_dependents_go_in_the_background(client: HttpClient) -> None:
    owner = await client.create(CONFIG_MAPS, {"metadata": {"name": "owner"}}, NAMESPACE)
    child = await client.create(SECRETS, owned("child", owner_reference(CONFIG_MAPS, owner)), NAMESPACE)
    await client.create(SECRETS, owned("grandchild", owner_reference(SECRETS, child)), NAMESPACE)
    await client.delete(CONFIG_MAPS, "owner", NAMESPACE, propagation=Propagation.BACKGROUND)
    await gone(client, SECRETS, "child")
    await gone(client, SECRETS, "grandchild")


async def test_an_owner_waits_for_blocking_dependents_in_the_foreground(client: HttpClient) -> None:
    owner = await client.create(CONFIG_MAPS, {"metadata": {"name": "owner"}}, NAMESPACE)
    body = owned("child", owner_reference(CONFIG_MAPS, owner), finalizers=["example.com/hold"])
    await client.create(SECRETS, body, NAMESPACE)
    await client.delete(CONFIG_MAPS, "owner", NAMESPACE, propagation=Propagation.FOREGROUND)

    async def marked() -> bool:
        return (await client.get(SECRETS, "child", NAMESPACE)).metadata.deletion_timestamp is not None

    await eventually_true(marked, "the child is being deleted")
    await asyncio.sleep(0.3)
    assert (await client.get(CONFIG_MAPS, "owner", NAMESPACE)).metadata.finalizers == ["foregroundDeletion"]
    await client.patch(SECRETS, "child", Patch.merge({"metadata": {"finalizers": None}}), NAMESPACE)
    await gone(client, SECRETS, "child")
    await gone(client, CONFIG_MAPS, "owner")


async def test_orphans_stay_without_their_owner(client: HttpClient) -> None:
    owner = await client.create(CONFIG_MAPS, {"metadata": {"name": "owner"}}, NAMESPACE)
    await client.create(SECRETS, owned("child", owner_reference(CONFIG_MAPS, owner)), NAMESPACE)
    # The graph must know the child: as with a real collector, orphaning looks at what it knows. What was made after the
    # child, and is collected, came to it by the same watch.
    never = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "no-such-uid"}
    await client.create(SECRETS, owned("later", never), NAMESPACE)
    await gone(client, SECRETS, "later")
    await client.delete(CONFIG_MAPS, "owner", NAMESPACE, propagation=Propagation.ORPHAN)
    await gone(client, CONFIG_MAPS, "owner")
    assert (await client.get(SECRETS, "child", NAMESPACE)).metadata.owner_references == []


async def test_one_living_owner_is_enough(client: HttpClient) -> None:
    first = await client.create(CONFIG_MAPS, {"metadata": {"name": "first"}}, NAMESPACE)
    second = await client.create(CONFIG_MAPS, {"metadata": {"name": "second"}}, NAMESPACE)
    references = [owner_reference(CONFIG_MAPS, first), owner_reference(CONFIG_MAPS, second)]
    references[1]["controller"] = False
    await client.create(SECRETS, owned("child", *references), NAMESPACE)
    await client.delete(CONFIG_MAPS, "first", NAMESPACE)

    async def cut() -> bool:
        return len((await client.get(SECRETS, "child", NAMESPACE)).metadata.owner_references) == 1

    await eventually_true(cut, "the owner that is gone is no longer named")
    await client.delete(CONFIG_MAPS, "second", NAMESPACE)
    await gone(client, SECRETS, "child")


async def test_an_object_whose_owner_never_was_is_removed(client: HttpClient) -> None:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "no-such-uid"}
    await client.create(SECRETS, owned("child", reference), NAMESPACE)
    await gone(client, SECRETS, "child")


async def test_an_unknown_kind_of_owner_is_no_proof(client: HttpClient) -> None:
    reference = {"apiVersion": "nowhere.example.com/v1", "kind": "Thing", "name": "x", "uid": "no-such-uid"}
    await client.create(SECRETS, owned("child", reference), NAMESPACE)
    await asyncio.sleep(0.5)
    assert (await client.get(SECRETS, "child", NAMESPACE)).metadata.deletion_timestamp is None


async def test_custom_resources_own_and_are_owned(client: HttpClient) -> None:
    schema = {"openAPIV3Schema": {"type": "object"}}
    await client.create(
        CRDS,
        {
            "metadata": {"name": "boats.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "boats", "singular": "boat", "kind": "Boat"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        },
    )
    async with asyncio.timeout(10):
        while True:
            try:
                boat = await client.create(BOATS, {"metadata": {"name": "boat"}}, NAMESPACE)
                break
            except ApiError:
                await asyncio.sleep(0.05)
    await client.create(CONFIG_MAPS, owned("sail", owner_reference(BOATS, boat)), NAMESPACE)
    await asyncio.sleep(0.1)
    assert (await client.get(CONFIG_MAPS, "sail", NAMESPACE)).metadata.deletion_timestamp is None
    await client.delete(BOATS, "boat", NAMESPACE)
    await gone(client, CONFIG_MAPS, "sail")


@pytest.mark.parametrize("count", [200])
async def test_many_dependents_go(client: HttpClient, count: int) -> None:
    owner = await client.create(NAMESPACES, {"metadata": {"name": "cluster-owner"}})
    reference = owner_reference(NAMESPACES, owner)
    await asyncio.gather(*(client.create(CONFIG_MAPS, owned(f"child-{n}", reference), NAMESPACE) for n in range(count)))
    await client.delete(NAMESPACES, "cluster-owner")

    async def none_left() -> bool:
        page = await client.list(CONFIG_MAPS, NAMESPACE)
        return not any(item.metadata.name.startswith("child-") for item in page.items)

    await eventually_true(none_left, "all children are gone", timeout_s=30)
