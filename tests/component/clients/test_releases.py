"""Install, upgrade and roll back as a package tool does it: server-side apply and releases kept in Secrets.

Each revision is a Secret with the manifests; an upgrade applies the new ones with force, deletes what the new
revision no longer has, and marks the old revision superseded. A rollback is an upgrade to old manifests.
"""

import base64
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kobune.kube.client.config import load_config
from kobune.kube.client.http import HttpClient
from support.apiprocess import ApiProcess

MANAGER = "package-tool"
PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Secret": "/api/v1/namespaces/{}/secrets",
}


class Releases:
    """A package tool's view of one namespace."""

    def __init__(self, client: HttpClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def path(self, kind: str, name: str = "") -> str:
        """The address of one object or of its collection."""
        return PATHS[kind].format(self._namespace) + (f"/{name}" if name else "")

    async def call(self, method: str, path: str, body: object = None, media: str = "application/json") -> Any:
        """One request with a JSON body and answer."""
        data = None if body is None else json.dumps(body).encode()
        answer = await self._client.raw(method, path, body=data, content_type=media)
        return json.loads(answer)

    async def revisions(self, name: str) -> list[dict[str, Any]]:
        """The release's Secrets, oldest first."""
        found = await self.call("GET", f"{self.path('Secret')}?labelSelector=owner%3Dtool%2Cname%3D{name}")
        items: list[dict[str, Any]] = sorted(found["items"], key=lambda s: int(s["metadata"]["labels"]["version"]))
        return items

    async def deploy(self, name: str, manifests: list[dict[str, Any]]) -> int:
        """Install or upgrade to `manifests`; the new revision."""
        earlier = await self.revisions(name)
        revision = len(earlier) + 1
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "example.com/release.v1",
            "metadata": {
                "name": f"release.{name}.v{revision}",
                "labels": {"owner": "tool", "name": name, "version": str(revision), "status": "pending"},
            },
            "data": {"release": base64.b64encode(gzip.compress(json.dumps(manifests).encode())).decode()},
        }
        await self.call("POST", self.path("Secret"), secret)
        for manifest in manifests:
            path = self.path(manifest["kind"], manifest["metadata"]["name"])
            await self.call(
                "PATCH", f"{path}?fieldManager={MANAGER}&force=true", manifest, "application/apply-patch+yaml"
            )
        if earlier:
            kept = {(m["kind"], m["metadata"]["name"]) for m in manifests}
            for old in self.manifests(earlier[-1]):
                if (old["kind"], old["metadata"]["name"]) not in kept:
                    await self.call("DELETE", self.path(old["kind"], old["metadata"]["name"]))
            await self._mark(earlier[-1]["metadata"]["name"], "superseded")
        await self._mark(secret["metadata"]["name"], "deployed")  # type: ignore[index]
        return revision

    @staticmethod
    def manifests(secret: dict[str, Any]) -> list[dict[str, Any]]:
        """What a revision consists of."""
        found: list[dict[str, Any]] = json.loads(gzip.decompress(base64.b64decode(secret["data"]["release"])))
        return found

    async def _mark(self, secret: str, status: str) -> None:
        body = {"metadata": {"labels": {"status": status}}}
        await self.call("PATCH", self.path("Secret", secret), body, "application/merge-patch+json")


def chart(namespace: str, image: str, *, with_config: bool, replicas: int | None) -> list[dict[str, Any]]:
    """The rendered manifests of one version."""
    labels = {"app": "web"}
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": image, "env": [{"name": "A", "value": image}]}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    metadata = {"name": "web", "namespace": namespace, "labels": labels}
    manifests: list[dict[str, Any]] = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]
    if with_config:
        manifests.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"image": image}})
    return manifests


@pytest.fixture
async def releases(api: ApiProcess, namespace: str) -> AsyncIterator[Releases]:
    client = HttpClient(load_config(api.kubeconfig))
    yield Releases(client, namespace)
    await client.close()


async def test_install_upgrade_rollback(releases: Releases, namespace: str) -> None:
    assert await releases.deploy("web", chart(namespace, "web:1", with_config=True, replicas=1)) == 1
    service = await releases.call("GET", releases.path("Service", "web"))

    # Somebody scales by hand, and an autoscaler's annotation appears: the next version does not speak of either.
    await releases.call(
        "PATCH",
        releases.path("Deployment", "web") + "/scale?fieldManager=by-hand",
        {"spec": {"replicas": 3}},
        "application/merge-patch+json",
    )
    assert await releases.deploy("web", chart(namespace, "web:2", with_config=False, replicas=None)) == 2
    deployment = await releases.call("GET", releases.path("Deployment", "web"))
    assert deployment["spec"]["replicas"] == 3, "whoever scaled keeps it"
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    again = await releases.call("GET", releases.path("Service", "web"))
    assert again["spec"]["clusterIP"] == service["spec"]["clusterIP"]
    assert again["metadata"]["resourceVersion"] == service["metadata"]["resourceVersion"], "nothing changed"
    maps = await releases.call("GET", releases.path("ConfigMap"))
    assert "web" not in [item["metadata"]["name"] for item in maps["items"]]

    first = (await releases.revisions("web"))[0]
    assert await releases.deploy("web", releases.manifests(first)) == 3
    deployment = await releases.call("GET", releases.path("Deployment", "web"))
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "web:1"}]
    config = await releases.call("GET", releases.path("ConfigMap", "web"))
    assert config["data"] == {"image": "web:1"}
    assert [s["metadata"]["labels"]["status"] for s in await releases.revisions("web")] == [
        "superseded",
        "superseded",
        "deployed",
    ]
    managers = {m["manager"] for m in deployment["metadata"]["managedFields"] if m["operation"] == "Apply"}
    assert managers == {MANAGER}
