"""lightkube and kr8s: what their users do first."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import kr8s.asyncio
import lightkube
import pytest
from kr8s.asyncio.objects import ConfigMap as Kr8sConfigMap
from kr8s.asyncio.objects import Deployment as Kr8sDeployment
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace
from lightkube.types import PatchType

from support.apiprocess import ApiProcess


@pytest.fixture
async def light(api: ApiProcess, namespace: str) -> AsyncIterator[lightkube.AsyncClient]:
    client = lightkube.AsyncClient(
        config=KubeConfig.from_file(str(api.kubeconfig)), namespace=namespace, field_manager="lightkube-tests"
    )
    yield client
    await client.close()


@pytest.fixture
async def kr8s_api(api: ApiProcess, namespace: str) -> AsyncIterator[Any]:
    client: Any = await kr8s.asyncio.api(kubeconfig=str(api.kubeconfig), namespace=namespace)
    yield client
    await client._session.aclose()  # there is no public way, and an open socket is a warning


async def test_lightkube_reads_and_writes(light: lightkube.AsyncClient, namespace: str) -> None:
    made = await light.create(ConfigMap(metadata=ObjectMeta(name="settings"), data={"a": "1"}))
    assert made.metadata is not None
    assert made.metadata.namespace == namespace
    made.data = {"a": "2"}
    replaced = await light.replace(made)
    assert replaced.data == {"a": "2"}
    with pytest.raises(ApiError) as stale:
        await light.replace(made)
    assert (stale.value.status.code, stale.value.status.reason) == (409, "Conflict")
    patched = await light.patch(ConfigMap, "settings", {"data": {"b": "3"}}, patch_type=PatchType.MERGE)
    assert patched.data == {"a": "2", "b": "3"}
    applied = await light.apply(ConfigMap(metadata=ObjectMeta(name="settings"), data={"c": "4"}))
    assert applied.data == {"a": "2", "b": "3", "c": "4"}
    names = [item.metadata.name async for item in light.list(ConfigMap) if item.metadata]
    assert "settings" in names
    await light.delete(ConfigMap, "settings")
    with pytest.raises(ApiError) as gone:
        await light.get(ConfigMap, "settings")
    assert gone.value.status.reason == "NotFound"


async def test_lightkube_watches(light: lightkube.AsyncClient) -> None:
    async def write() -> None:
        await asyncio.sleep(0.2)
        await light.create(ConfigMap(metadata=ObjectMeta(name="late", labels={"app": "late"})))

    writing = asyncio.create_task(write())
    async with asyncio.timeout(20):
        async for event, found in light.watch(ConfigMap, labels={"app": "late"}):
            assert event == "ADDED"
            assert found.metadata is not None
            assert found.metadata.name == "late"
            break
    await writing


async def test_lightkube_waits_for_conditions(light: lightkube.AsyncClient) -> None:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    web: Any = Deployment.from_dict({"metadata": {"name": "web"}, "spec": spec})
    await light.create(web)
    async with asyncio.timeout(20):
        found = await light.wait(Deployment, "web", for_conditions=["Progressing"])
    assert found.status is not None
    scale = await light.patch(Deployment.Scale, "web", {"spec": {"replicas": 2}}, patch_type=PatchType.MERGE)
    assert scale.spec is not None
    assert scale.spec.replicas == 2


async def test_lightkube_generic_resources(light: lightkube.AsyncClient) -> None:
    leases: Any = create_namespaced_resource("coordination.k8s.io", "v1", "Lease", "leases")
    made: Any = await light.create(leases(metadata={"name": "one"}, spec={"holderIdentity": "me"}))
    assert made["spec"]["holderIdentity"] == "me"
    namespaces = [item.metadata.name async for item in light.list(Namespace) if item.metadata]
    assert {"default", "kube-system"} <= set(namespaces)


async def test_kr8s_reads_and_writes(kr8s_api: Any, namespace: str) -> None:
    resource = {"metadata": {"name": "settings", "namespace": namespace}, "data": {"a": "1"}}
    settings = await Kr8sConfigMap(resource, api=kr8s_api)
    await settings.create()
    assert await settings.exists()
    await settings.patch({"data": {"b": "2"}})
    await settings.label({"tier": "front"})
    await settings.refresh()
    assert settings.data.to_dict() == {"a": "1", "b": "2"}
    found = [item.name async for item in kr8s_api.get("configmaps", namespace=namespace, label_selector="tier=front")]
    assert found == ["settings"]
    await settings.delete()
    await asyncio.wait_for(settings.wait("delete"), 20)
    assert not await settings.exists()


async def test_kr8s_scales_and_watches(kr8s_api: Any, namespace: str) -> None:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
    }
    resource = {
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    web = await Kr8sDeployment(resource, api=kr8s_api)
    await web.create()
    async with asyncio.timeout(20):
        async for _, found in kr8s_api.watch("deployments", namespace=namespace):
            if found.raw.get("status", {}).get("replicas") == 1:
                break
        async for _, pod in kr8s_api.watch("pods", namespace=namespace):
            if pod.name.startswith("web-"):
                break
    assert len(await web.pods()) == 1
    version = await kr8s_api.version()
    assert version["major"] == "1"
    kinds = {resource["kind"] for resource in await kr8s_api.api_resources()}
    assert {"Pod", "Deployment", "CustomResourceDefinition"} <= kinds
