"""Many writers of one object who do not insist on a revision: all succeed, and nobody's change is lost."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from kobune.kube.client.config import load_config
from kobune.kube.client.errors import Conflict
from kobune.kube.client.http import HttpClient
from support.apiprocess import ApiProcess

WRITERS = 60


@pytest.fixture
async def client(api: ApiProcess) -> AsyncIterator[HttpClient]:
    client = HttpClient(load_config(api.kubeconfig))
    yield client
    await client.close()


async def send(client: HttpClient, method: str, path: str, body: object, media: str) -> dict[str, dict[str, str]]:
    answer: dict[str, dict[str, str]] = json.loads(
        await client.raw(method, path, body=json.dumps(body).encode(), content_type=media)
    )
    return answer


async def test_patches_of_one_object_all_count(client: HttpClient, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await send(client, "POST", path, {"metadata": {"name": "shared"}}, "application/json")
    patches = [{"data": {f"key-{number}": "x"}} for number in range(WRITERS)]
    await asyncio.gather(
        *(send(client, "PATCH", f"{path}/shared", patch, "application/merge-patch+json") for patch in patches)
    )
    found = json.loads(await client.raw("GET", f"{path}/shared"))
    assert set(found["data"]) == {f"key-{number}" for number in range(WRITERS)}


async def test_appliers_of_a_new_object_all_own_their_part(client: HttpClient, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/applied"

    async def apply(number: int) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {f"k{number}": "x"}}
        await send(client, "PATCH", f"{path}?fieldManager=m{number}", body, "application/apply-patch+yaml")

    await asyncio.gather(*(apply(number) for number in range(20)))
    found = json.loads(await client.raw("GET", path))
    assert set(found["data"]) == {f"k{number}" for number in range(20)}
    assert {entry["manager"] for entry in found["metadata"]["managedFields"]} == {f"m{number}" for number in range(20)}


async def test_puts_that_name_a_revision_still_conflict(client: HttpClient, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = await send(client, "POST", path, {"metadata": {"name": "named"}}, "application/json")

    async def put(number: int, version: str) -> bool:
        body = {"metadata": {"name": "named", "resourceVersion": version}, "data": {"n": str(number)}}
        try:
            await send(client, "PUT", f"{path}/named", body, "application/json")
        except Conflict:
            return False
        return True

    version = made["metadata"]["resourceVersion"]
    assert sum(await asyncio.gather(*(put(number, version) for number in range(WRITERS)))) == 1
    assert all(await asyncio.gather(*(put(number, "") for number in range(WRITERS))))
