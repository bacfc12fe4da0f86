"""Namespaces get what they need, and end with everything in them."""

import asyncio
from typing import Any

import pytest

from kobune.kube.client.core import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from kobune.kube.client.errors import ApiError, NotFound
from kobune.kube.client.http import HttpClient
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from kobune.kube.testing import eventually_true


async def exists(client: HttpClient, resource: Resource[Any], name: str, namespace: str = "") -> bool:
    try:
        await client.get(resource, name, namespace)
    except NotFound:
        return False
    return True


async def until(client: HttpClient, resource: Resource[Any], name: str, namespace: str, *, there: bool) -> None:
    async def check() -> bool:
        return await exists(client, resource, name, namespace) is there

    await eventually_true(check, f"{name} is {'there' if there else 'gone'}")


async def test_a_new_namespace_gets_an_account_and_the_authority(client: HttpClient) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "one"}})
    await until(client, SERVICE_ACCOUNTS, "default", "one", there=True)
    await until(client, CONFIG_MAPS, "kube-root-ca.crt", "one", there=True)
    authority = await client.get(CONFIG_MAPS, "kube-root-ca.crt", "one")
    assert authority.data["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")


async def test_the_authority_is_restored(client: HttpClient) -> None:
    await until(client, CONFIG_MAPS, "kube-root-ca.crt", "default", there=True)
    await client.patch(CONFIG_MAPS, "kube-root-ca.crt", Patch.merge({"data": {"ca.crt": "x", "b": "y"}}), "default")

    async def restored() -> bool:
        return (await client.get(CONFIG_MAPS, "kube-root-ca.crt", "default")).data.keys() == {"ca.crt"}

    await eventually_true(restored, "the authority is as before")
    await client.delete(CONFIG_MAPS, "kube-root-ca.crt", "default")
    await until(client, CONFIG_MAPS, "kube-root-ca.crt", "default", there=True)


async def test_an_empty_namespace_goes_at_once(client: HttpClient) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "two"}})
    await client.delete(NAMESPACES, "two")
    await until(client, NAMESPACES, "two", "", there=False)


async def test_content_goes_first_and_finalizers_hold_the_namespace(client: HttpClient) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "three"}})
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    await client.create(CONFIG_MAPS, held, "three")
    await client.create(CONFIG_MAPS, {"metadata": {"name": "free"}}, "three")
    await client.delete(NAMESPACES, "three")
    await until(client, CONFIG_MAPS, "free", "three", there=False)
    async with asyncio.timeout(10):
        while True:
            conditions = {c.type: c for c in (await client.get(NAMESPACES, "three")).status.conditions}
            remaining = conditions.get("NamespaceFinalizersRemaining")
            if remaining is not None and remaining.status == "True":
                break
            await asyncio.sleep(0.02)
    assert "example.com/hold in 1 resource instances" in remaining.message
    with pytest.raises(ApiError):
        await client.create(CONFIG_MAPS, {"metadata": {"name": "late"}}, "three")
    await client.patch(CONFIG_MAPS, "held", Patch.merge({"metadata": {"finalizers": None}}), "three")
    await until(client, NAMESPACES, "three", "", there=False)
