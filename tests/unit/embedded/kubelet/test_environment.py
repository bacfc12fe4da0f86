"""Variables of containers: where they come from and what is missing."""

import base64
from typing import Any

import msgspec
import pytest

from kobune.api.core import ConfigMap, Secret, Service
from kobune.embedded.kubelet.environment import ConfigError, Dependencies, container_environment, expand
from support.pods import pod

GIVEN = Dependencies(
    config_maps={"cm": ConfigMap(data={"a": "1", "b": "2"})},
    secrets={"s": Secret(data={"pw": base64.b64encode(b"secret").decode()})},
    host_ip="192.0.2.1",
    pod_ips=("10.42.0.5", "fd00::5"),
    node_allocatable={"memory": 8 << 30, "cpu": 4},
)


def variables(given: Dependencies = GIVEN, **container: Any) -> dict[str, str]:
    the_pod = pod(
        {"name": "c", **container},
        metadata={"labels": {"app": "web"}, "annotations": {"x/y": "z"}},
        nodeName="node1",
        serviceAccountName="robot",
    )
    return dict(container_environment(the_pod, the_pod.spec.containers[0], given))


def field(path: str) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['x/y']", "z"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "node1"),
        ("spec.serviceAccountName", "robot"),
        ("status.hostIP", "192.0.2.1"),
        ("status.podIP", "10.42.0.5"),
        ("status.podIPs", "10.42.0.5,fd00::5"),
    ],
)
def test_fields_of_the_pod(path: str, expected: str) -> None:
    assert variables(env=[field(path)])["V"] == expected


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unsupported fieldPath: status\.phase"):
        variables(env=[field("status.phase")])


@pytest.mark.parametrize(
    ("resource", "divisor", "expected"),
    [
        ("limits.memory", "0", "67108864"),
        ("limits.memory", "1Mi", "64"),
        ("requests.cpu", "0", "1"),
        ("requests.cpu", "1m", "250"),
        ("limits.cpu", "0", "4"),
        ("requests.memory", "0", "0"),
    ],
)
def test_resources_are_counted_in_the_divisor_and_default_to_the_node(
    resource: str, divisor: str, expected: str
) -> None:
    reference = {"name": "V", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}}
    assert variables(env=[reference], resources=resources)["V"] == expected


def test_keys_of_config_maps_and_secrets() -> None:
    found = variables(
        envFrom=[{"prefix": "CM_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}],
        env=[
            {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "a"}}},
            {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}},
            {"name": "REF", "value": "$(ONE)$(CM_b)"},
        ],
    )
    assert found == {"CM_a": "1", "CM_b": "2", "pw": "secret", "ONE": "1", "PW": "secret", "REF": "12"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "a"}}, 'configmap "none" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "z"}}, "couldn't find key z in ConfigMap default/cm"),
        ({"secretKeyRef": {"name": "none", "key": "a"}}, 'secret "none" not found'),
        ({"secretKeyRef": {"name": "s", "key": "z"}}, "couldn't find key z in Secret default/s"),
    ],
)
def test_what_is_missing_is_named_and_may_be_optional(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        variables(env=[{"name": "V", "valueFrom": source}])
    (kind, reference), *_ = source.items()
    optional = {kind: reference | {"optional": True}}
    assert "V" not in variables(env=[{"name": "V", "valueFrom": optional}])


def test_services_are_announced() -> None:
    service = msgspec.convert(
        {
            "metadata": {"name": "my-db"},
            "spec": {"clusterIP": "10.0.0.7", "ports": [{"name": "sql", "port": 5432}]},
        },
        Service,
    )
    headless = msgspec.convert(
        {"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}, Service
    )
    found = variables(Dependencies(services=[service, headless]))
    assert found["MY_DB_SERVICE_HOST"] == "10.0.0.7"
    assert found["MY_DB_SERVICE_PORT"] == "5432"
    assert found["MY_DB_SERVICE_PORT_SQL"] == "5432"
    assert found["MY_DB_PORT_5432_TCP_ADDR"] == "10.0.0.7"
    assert not any(name.startswith("H_") for name in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("$A", "$A"),
        ("x$(A)y$(A)", "x1y1"),
        ("$$", "$"),
        ("$(A", "$(A"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected
