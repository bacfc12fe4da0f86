"""Writes that meet other writes: the server repeats them inside, and nothing of a first attempt may stay."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kobune.kube.client.config import load_config
from kobune.kube.client.http import HttpClient
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from support.apiserver import api_server

DEPLOYMENTS: Resource[dict[str, Any]] = Resource("apps", "v1", "deployments", "Deployment", True, dict)
NS = "default"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[HttpClient]:
    async with api_server(tmp_path) as server:
        client = HttpClient(load_config(server.kubeconfig))
        yield client
        await client.close()


def deployment(image: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}


async def test_a_repeated_apply_owns_no_defaults(client: HttpClient) -> None:
    await client.apply(DEPLOYMENTS, deployment("i:0"), NS, field_manager="me")

    async def disturb() -> None:
        for number in range(150):
            body = {"status": {"observedGeneration": number}}
            await client.patch(DEPLOYMENTS, "d", Patch.merge(body), NS, subresource="status")

    disturbing = [asyncio.create_task(disturb()) for _ in range(3)]
    for number in range(60):
        applied = await client.apply(DEPLOYMENTS, deployment(f"i:{number}"), NS, field_manager="me")
        (mine,) = [entry for entry in applied["metadata"]["managedFields"] if entry["manager"] == "me"]
        container = mine["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']
        assert container.keys() == {".", "f:name", "f:image"}
    await asyncio.gather(*disturbing)


async def test_every_one_of_many_patches_counts(client: HttpClient) -> None:
    await client.create(DEPLOYMENTS, deployment("i:0"), NS)

    async def annotate(number: int) -> None:
        body = {"metadata": {"annotations": {f"n{number}": "x"}}}
        await client.patch(DEPLOYMENTS, "d", Patch.merge(body), NS)

    for start in range(0, 60, 6):
        await asyncio.gather(*(annotate(number) for number in range(start, start + 6)))
    found = (await client.get(DEPLOYMENTS, "d", NS))["metadata"]["annotations"]
    assert {f"n{number}" for number in range(60)} <= found.keys()
