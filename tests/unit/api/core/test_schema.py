"""The core types have the fields of the published Kubernetes schema, in its spelling, and demand no more than it."""

import importlib.resources
import json
from functools import cache
from typing import Any

import kubernetes_validate
import msgspec
import pytest

from kobune.api import core

STRUCTS = [name for name in core.__all__ if issubclass(getattr(core, name), msgspec.Struct)]

PUBLISHED_AS = {
    "CoreEvent": "Event",
    "KeySelector": "SecretKeySelector",
    "OptionalLocalObjectReference": "SecretEnvSource",
}
GROUP_OF = {
    "Lease": "coordination.v1",
    "LeaseSpec": "coordination.v1",
    "Endpoint": "discovery.v1",
    "EndpointConditions": "discovery.v1",
    "EndpointPort": "discovery.v1",
    "EndpointSlice": "discovery.v1",
    "StorageClass": "storage.v1",
}
RELEASE = "v1.34.0-local"
COMPLETE = ["Container", "PodSpec", "Affinity", "Toleration", "Probe", "VolumeMount", "PersistentVolumeClaimSpec"]
"""Types that other rooms render from: nothing a user writes there may be lost."""


@cache
def definitions() -> dict[str, Any]:
    root = importlib.resources.files(kubernetes_validate) / "kubernetes-json-schema"
    document: dict[str, Any] = json.loads((root / RELEASE / "_definitions.json").read_text())
    found: dict[str, Any] = document.get("definitions") or document["$defs"]
    return found


def published(name: str) -> dict[str, Any]:
    group = GROUP_OF.get(name, "core.v1")
    found: dict[str, Any] = definitions()[f"io.k8s.api.{group}.{PUBLISHED_AS.get(name, name)}"]
    return found


@pytest.mark.parametrize("name", STRUCTS)
def test_fields_are_spelled_as_published(name: str) -> None:
    fields = msgspec.structs.fields(getattr(core, name))
    assert {field.encode_name for field in fields} <= set(published(name).get("properties", {}))


@pytest.mark.parametrize("name", STRUCTS)
def test_nothing_is_demanded_that_kubernetes_does_not_demand(name: str) -> None:
    fields = msgspec.structs.fields(getattr(core, name))
    assert {field.encode_name for field in fields if field.required} <= set(published(name).get("required", []))


@pytest.mark.parametrize("name", COMPLETE)
def test_no_field_is_lost(name: str) -> None:
    fields = msgspec.structs.fields(getattr(core, name))
    deprecated = {"serviceAccount"}
    assert set(published(name)["properties"]) - {field.encode_name for field in fields} <= deprecated


def test_a_pod_survives_decoding_and_encoding() -> None:
    pod = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "i",
                    "resources": {"limits": {"memory": "64Mi", "cpu": 1}},
                    "ports": [{"containerPort": 80, "hostIP": "127.0.0.1"}],
                    "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 3},
                }
            ],
            "hostPID": True,
            "volumes": [{"name": "d", "downwardAPI": {"items": [{"path": "x", "fieldRef": {"fieldPath": "a"}}]}}],
        },
        "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "hostIP": "1.2.3.4"},
    }
    decoded = msgspec.convert(pod, core.Pod)
    assert msgspec.to_builtins(decoded) == pod
