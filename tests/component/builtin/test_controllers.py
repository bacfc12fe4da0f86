"""The other built-in controllers against a real API: what a user sees of each."""

from typing import Any

import pytest

from kobune.kube.client.core import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from kobune.kube.client.errors import NotFound, TooManyRequests
from kobune.kube.client.http import HttpClient
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from kobune.kube.testing import eventually_true

NS = "default"
REPLICA_SETS: Resource[dict[str, Any]] = Resource("apps", "v1", "replicasets", "ReplicaSet", True, dict)
DEPLOYMENTS: Resource[dict[str, Any]] = Resource("apps", "v1", "deployments", "Deployment", True, dict)
BUDGETS: Resource[dict[str, Any]] = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, dict)
ROLES: Resource[dict[str, Any]] = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False, dict
)
QUOTAS: Resource[dict[str, Any]] = Resource("", "v1", "resourcequotas", "ResourceQuota", True, dict)


async def running_pod(client: HttpClient, name: str, ip: str, **spec: Any) -> None:
    async def account() -> bool:
        return await there(client, SERVICE_ACCOUNTS, "default", NS)

    await eventually_true(account, "the namespace has its account")
    containers = [{"name": "c", "image": "x", "ports": [{"name": "http", "containerPort": 8080}]}]
    metadata = {"name": name, "labels": {"app": "web"}}
    await client.create(PODS, {"metadata": metadata, "spec": {"containers": containers, **spec}}, NS)
    status = {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    await client.patch(PODS, name, Patch.merge({"status": status}), NS, subresource="status")


async def there(client: HttpClient, resource: Resource[Any], name: str, namespace: str = "") -> bool:
    try:
        await client.get(resource, name, namespace)
    except NotFound:
        return False
    return True


async def test_a_service_follows_its_pods(client: HttpClient) -> None:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}
    await client.create(SERVICES, {"metadata": {"name": "web"}, "spec": spec}, NS)
    await running_pod(client, "a", "10.0.0.1")
    await running_pod(client, "b", "10.0.0.2")

    async def addresses() -> list[str]:
        page = await client.list(ENDPOINT_SLICES, NS, label_selector="kubernetes.io/service-name=web")
        return [
            endpoint.addresses[0]
            for item in page.items
            for endpoint in item.endpoints or ()
            if endpoint.conditions.ready
        ]

    async def both() -> bool:
        return await addresses() == ["10.0.0.1", "10.0.0.2"]

    await eventually_true(both, "both pods are endpoints")
    await client.delete(PODS, "a", NS, grace_period_s=0)

    async def one() -> bool:
        legacy = await client.get(ENDPOINTS, "web", NS)
        return (
            await addresses()
            == ["10.0.0.2"]
            == [address.ip for subset in legacy.subsets for address in subset.addresses]
        )

    await eventually_true(one, "the other one is left")
    await client.delete(SERVICES, "web", NS)

    async def none() -> bool:
        page = await client.list(ENDPOINT_SLICES, NS, label_selector="kubernetes.io/service-name=web")
        return not page.items and not await there(client, ENDPOINTS, "web", NS)

    await eventually_true(none, "nothing is left of the Service")


async def test_a_budget_allows_one_eviction(client: HttpClient) -> None:
    body = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    await client.create(BUDGETS, body, NS)
    await running_pod(client, "a", "10.0.0.1")
    await running_pod(client, "b", "10.0.0.2")

    async def allowed(count: int) -> bool:
        return bool((await client.get(BUDGETS, "b", NS)).get("status", {}).get("disruptionsAllowed") == count)

    async def one() -> bool:
        return await allowed(1)

    async def none() -> bool:
        return await allowed(0)

    async def evict(name: str) -> None:
        eviction = f'{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{name}"}}}}'
        await client.raw("POST", PODS.path(NS, name, "eviction"), body=eviction.encode())

    await eventually_true(one, "one may go")
    await evict("a")
    await eventually_true(none, "the other must stay")
    with pytest.raises(TooManyRequests):
        await evict("b")


async def test_aggregated_roles_get_the_rules_of_others(client: HttpClient) -> None:
    rule = {"apiGroups": ["kubevirt.io"], "resources": ["virtualmachines"], "verbs": ["get"]}
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    await client.create(ROLES, {"metadata": {"name": "vm-view", "labels": labels}, "rules": [rule]})

    async def shown() -> bool:
        return rule in ((await client.get(ROLES, "view")).get("rules") or [])

    await eventually_true(shown, "the role view has the rule")


async def test_quotas_count(client: HttpClient) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "5", "count/configmaps": "50"}}}
    await client.create(QUOTAS, body, NS)
    await running_pod(client, "a", "10.0.0.1")

    async def counted() -> bool:
        used = (await client.get(QUOTAS, "q", NS)).get("status", {}).get("used", {})
        return bool(used.get("pods") == "1" and int(used.get("count/configmaps", "0")) >= 1)

    await eventually_true(counted, "the pod and the ConfigMaps are counted")


async def test_claims_bind_and_are_protected(client: HttpClient) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": "/x"},
        "storageClassName": "m",
    }
    await client.create(PERSISTENT_VOLUMES, {"metadata": {"name": "v"}, "spec": spec})
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "m"}
    await client.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": "c"}, "spec": wanted}, NS)

    async def bound() -> bool:
        claim = await client.get(PERSISTENT_VOLUME_CLAIMS, "c", NS)
        volume = await client.get(PERSISTENT_VOLUMES, "v")
        return (claim.status.phase, claim.spec.volume_name, volume.status.phase) == ("Bound", "v", "Bound")

    await eventually_true(bound, "claim and volume are bound")
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]
    await client.create(NODES, {"metadata": {"name": "n"}})
    await running_pod(client, "a", "10.0.0.1", volumes=volumes, nodeName="n")
    await client.delete(PERSISTENT_VOLUME_CLAIMS, "c", NS)
    assert (await client.get(PERSISTENT_VOLUME_CLAIMS, "c", NS)).metadata.deletion_timestamp is not None
    await client.delete(PODS, "a", NS, grace_period_s=0)

    async def released() -> bool:
        gone = not await there(client, PERSISTENT_VOLUME_CLAIMS, "c", NS)
        return gone and (await client.get(PERSISTENT_VOLUMES, "v")).status.phase == "Released"

    await eventually_true(released, "the claim is gone and its volume released")
    await client.delete(PERSISTENT_VOLUMES, "v")

    async def volume_gone() -> bool:
        return not await there(client, PERSISTENT_VOLUMES, "v")

    await eventually_true(volume_gone, "a released volume can be deleted")


async def test_a_deployment_rolls_out_and_goes_with_its_pods(client: HttpClient) -> None:
    def template(image: str) -> dict[str, Any]:
        return {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": image}]}}

    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "d"}}, "template": template("i:1")}
    await client.create(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec}, NS)
    most = 0

    async def images() -> list[str]:
        """The images of all pods, after making them ready as a kubelet would."""
        nonlocal most
        pods = (await client.list(PODS, NS, label_selector="app=d")).items
        wanted = [item["spec"]["replicas"] for item in (await client.list(REPLICA_SETS, NS)).items]
        most = max(most, sum(wanted))
        for pod in pods:
            if pod.status.phase != "Running":
                status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                try:
                    await client.patch(
                        PODS, pod.metadata.name, Patch.merge({"status": status}), NS, subresource="status"
                    )
                except NotFound:
                    continue
        return sorted(pod.spec.containers[0].image for pod in pods)

    async def available(image: str) -> bool:
        status = (await client.get(DEPLOYMENTS, "d", NS)).get("status", {})
        return await images() == [image] * 3 and status.get("availableReplicas") == status.get("updatedReplicas") == 3

    async def first() -> bool:
        return await available("i:1")

    async def second() -> bool:
        return await available("i:2")

    await eventually_true(first, "three pods of the first version", timeout_s=60)
    await client.patch(DEPLOYMENTS, "d", Patch.merge({"spec": {"template": template("i:2")}}), NS)
    await eventually_true(second, "three pods of the second version", timeout_s=60)
    assert most <= 4
    await client.delete(DEPLOYMENTS, "d", NS)

    async def nothing() -> bool:
        return not (await client.list(PODS, NS, label_selector="app=d")).items

    await eventually_true(nothing, "the pods are gone", timeout_s=60)
