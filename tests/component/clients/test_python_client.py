"""The official Python client: typed calls, its watch, and the dynamic client."""

import threading
from collections.abc import Iterator
from typing import Any

import kubernetes.client
import kubernetes.config
import kubernetes.dynamic
import kubernetes.watch
import pytest
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError

from support.apiprocess import ApiProcess

# Its types are half there and differ between releases; what comes back is what these tests look at.
official: Any = kubernetes.client
new_client_from_config: Any = kubernetes.config.new_client_from_config
DynamicClient: Any = kubernetes.dynamic.DynamicClient
Watch: Any = kubernetes.watch.Watch


@pytest.fixture
def connection(api: ApiProcess) -> Iterator[Any]:
    connection = new_client_from_config(str(api.kubeconfig))
    yield connection
    connection.close()


def config_map(name: str, **data: str) -> Any:
    return official.V1ConfigMap(metadata=official.V1ObjectMeta(name=name, labels={"app": "web"}), data=data)


def test_typed_calls(connection: Any, namespace: str) -> None:
    core = official.CoreV1Api(connection)
    made = core.create_namespaced_config_map(namespace, config_map("settings", colour="red"))
    assert made.metadata.uid
    assert made.metadata.creation_timestamp.tzinfo is not None
    made.data["colour"] = "blue"
    replaced = core.replace_namespaced_config_map("settings", namespace, made)
    assert replaced.metadata.resource_version != made.metadata.resource_version
    with pytest.raises(official.ApiException) as stale:
        core.replace_namespaced_config_map("settings", namespace, made)
    assert (stale.value.status, stale.value.reason) == (409, "Conflict")
    patched = core.patch_namespaced_config_map("settings", namespace, {"data": {"size": "1"}})
    assert patched.data == {"colour": "blue", "size": "1"}
    listed = core.list_namespaced_config_map(namespace, label_selector="app=web")
    assert [item.metadata.name for item in listed.items] == ["settings"]
    deleted = core.delete_namespaced_config_map("settings", namespace)
    assert connection.sanitize_for_serialization(deleted)["status"] == "Success"
    with pytest.raises(official.ApiException) as gone:
        core.read_namespaced_config_map("settings", namespace)
    assert gone.value.status == 404


def test_lists_in_chunks(connection: Any, namespace: str) -> None:
    core = official.CoreV1Api(connection)
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"c{number}"))
    names: list[str] = []
    token = None
    while True:
        page = core.list_namespaced_config_map(namespace, label_selector="app=web", limit=2, _continue=token)
        assert len(page.items) <= 2
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == ["c0", "c1", "c2", "c3", "c4"]


def test_watch_from_a_list(connection: Any, namespace: str) -> None:
    core = official.CoreV1Api(connection)
    core.create_namespaced_config_map(namespace, config_map("first"))
    start = core.list_namespaced_config_map(namespace).metadata.resource_version

    def write() -> None:
        core.create_namespaced_config_map(namespace, config_map("second"))
        core.patch_namespaced_config_map("second", namespace, {"data": {"a": "b"}})
        core.delete_namespaced_config_map("second", namespace)

    writer = threading.Timer(0.2, write)
    writer.start()
    watch = Watch()
    seen = []
    for event in watch.stream(
        core.list_namespaced_config_map, namespace, resource_version=start, label_selector="app=web", timeout_seconds=20
    ):
        seen.append((event["type"], event["object"].metadata.name, event["object"].data))
        if event["type"] == "DELETED":
            watch.stop()
    writer.join()
    assert seen == [("ADDED", "second", None), ("MODIFIED", "second", {"a": "b"}), ("DELETED", "second", {"a": "b"})]


def test_deployment_its_scale_and_its_pods(connection: Any, namespace: str) -> None:
    apps = official.AppsV1Api(connection)
    template = official.V1PodTemplateSpec(
        metadata=official.V1ObjectMeta(labels={"app": "web"}),
        spec=official.V1PodSpec(containers=[official.V1Container(name="web", image="registry.example/web:1")]),
    )
    spec = official.V1DeploymentSpec(
        replicas=1, selector=official.V1LabelSelector(match_labels={"app": "web"}), template=template
    )
    apps.create_namespaced_deployment(
        namespace, official.V1Deployment(metadata=official.V1ObjectMeta(name="web"), spec=spec)
    )
    scale = apps.read_namespaced_deployment_scale("web", namespace)
    scale.spec.replicas = 3
    scale.metadata.resource_version = None  # the controller writes the status at the same time
    assert apps.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas == 3
    watch = Watch()
    for event in watch.stream(apps.list_namespaced_deployment, namespace, timeout_seconds=20):
        if event["object"].status.replicas == 3:
            watch.stop()
    pods = official.CoreV1Api(connection).list_namespaced_pod(namespace).items
    assert len(pods) == 3
    assert {pod.status.phase for pod in pods} == {"Pending"}
    assert pods[0].metadata.owner_references[0].kind == "ReplicaSet"


def test_access_reviews_and_service_account_tokens(connection: Any, api: ApiProcess, namespace: str) -> None:
    core = official.CoreV1Api(connection)
    asked = official.AuthenticationV1TokenRequest(
        spec=official.V1TokenRequestSpec(audiences=["https://kubernetes.default.svc"], expiration_seconds=600)
    )
    answer = core.create_namespaced_service_account_token("default", namespace, asked)
    configuration = official.Configuration(host=api.url)
    configuration.ssl_ca_cert = str(api.ca_file)
    configuration.api_key["authorization"] = f"Bearer {answer.status.token}"
    with official.ApiClient(configuration) as other:
        attributes = official.V1ResourceAttributes(namespace=namespace, verb="list", resource="secrets")
        review = official.AuthorizationV1Api(other).create_self_subject_access_review(
            official.V1SelfSubjectAccessReview(
                spec=official.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
            )
        )
        assert review.status.allowed is False
        with pytest.raises(official.ApiException) as refused:
            official.CoreV1Api(other).list_namespaced_secret(namespace)
        assert refused.value.status == 403


def test_dynamic_client(connection: Any, namespace: str) -> None:
    dynamic = DynamicClient(connection)
    maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    made = maps.create(body=body, namespace=namespace)
    assert made.data.a == "1"
    maps.patch(
        body={"data": {"b": "2"}}, name="settings", namespace=namespace, content_type="application/merge-patch+json"
    )
    applied = maps.server_side_apply(
        body={**body, "data": {"b": "3"}}, namespace=namespace, field_manager="tests", force_conflicts=True
    )
    assert applied.data.to_dict() == {"a": "1", "b": "3"}
    with pytest.raises(ConflictError):
        maps.server_side_apply(body={**body, "data": {"b": "4"}}, namespace=namespace, field_manager="others")
    events = maps.watch(namespace=namespace, name="settings", timeout=5)
    assert next(iter(events))["type"] == "ADDED"
    maps.delete(name="settings", namespace=namespace)
    with pytest.raises(NotFoundError):
        maps.get(name="settings", namespace=namespace)


def test_dynamic_client_with_a_custom_resource(connection: Any, namespace: str) -> None:
    group = f"{namespace}.example.org"
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 7}}}},
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    extensions = official.ApiextensionsV1Api(connection)
    extensions.create_custom_resource_definition(definition)
    try:
        watch = Watch()
        for event in watch.stream(
            extensions.list_custom_resource_definition,
            field_selector=f"metadata.name=gadgets.{group}",
            timeout_seconds=20,
        ):
            conditions = event["object"].status.conditions or []
            if any(c.type == "Established" and c.status == "True" for c in conditions):
                watch.stop()
        gadgets = DynamicClient(connection).resources.get(api_version=f"{group}/v1", kind="Gadget")
        body = {"apiVersion": f"{group}/v1", "kind": "Gadget", "metadata": {"name": "one"}, "spec": {}}
        assert gadgets.create(body=body, namespace=namespace).spec.size == 7
        custom = official.CustomObjectsApi(connection)
        found = custom.list_namespaced_custom_object(group, "v1", namespace, "gadgets")
        assert [item["metadata"]["name"] for item in found["items"]] == ["one"]
    finally:
        extensions.delete_custom_resource_definition(f"gadgets.{group}")
