"""Volumes, claims, classes, quotas and limits as a kube-apiserver judges them."""

# ruff: noqa: E501 - messages stay whole

from typing import Any

import pytest

from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.validation import default, validate_create

INFOS = {info.kind: info for info in resources()}
ALONE = "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"


def errors(kind: str, **fields: Any) -> list[str]:
    info = INFOS[kind]
    metadata = {"name": "x", **({"namespace": "n"} if info.namespaced else {})}
    obj: dict[str, Any] = {"apiVersion": info.group_version, "kind": kind, "metadata": metadata, **fields}
    assert info.schema.decode(obj) == []
    default(info, obj)
    return [str(error) for error in validate_create(info, obj)]


def claim(**spec: Any) -> list[str]:
    usual = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return errors("PersistentVolumeClaim", spec=usual | spec)


def volume(**spec: Any) -> list[str]:
    usual = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
    return errors("PersistentVolume", spec={k: v for k, v in (usual | spec).items() if v is not None})


def test_claims() -> None:
    assert claim() == []
    assert claim(accessModes=["ReadWriteOncePod", "ReadWriteOnce"]) == [ALONE]
    (wrong,) = claim(selector={"matchLabels": {"a b": "c"}})
    assert wrong.startswith('spec.selector.matchLabels: Invalid value: "a b": name part must consist of')
    core = "spec.{}: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup"
    assert core.format("dataSourceRef") in claim(dataSourceRef={"kind": "Pod", "name": "x"})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"nfs": {"server": "a", "path": "/b"}}, ["spec.nfs: Forbidden: may not specify more than 1 volume type"]),
        ({"hostPath": None}, ["spec: Required value: must specify a volume type"]),
        ({"hostPath": None, "nfs": {"server": "a", "path": "b"}}, ['spec.nfs.path: Invalid value: "b": must be an absolute path']),
        ({"hostPath": None, "csi": {"driver": "", "volumeHandle": ""}}, ["spec.csi.driver: Required value", "spec.csi.volumeHandle: Required value"]),
        ({"hostPath": None, "local": {"path": "/x"}}, ["spec.nodeAffinity: Required value: Local volume requires node affinity"]),
        ({"nodeAffinity": {}}, ["spec.nodeAffinity.required: Required value: must specify required node constraints"]),
        (
            {"nodeAffinity": {"required": {"nodeSelectorTerms": []}}},
            ["spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term"],
        ),
        (
            {"hostPath": {"path": "/"}, "persistentVolumeReclaimPolicy": "Recycle"},
            ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
        ),
        ({"accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}, [ALONE]),
    ],
)  # fmt: skip
def test_volumes(spec: dict[str, Any], expected: list[str]) -> None:
    assert volume(**spec) == expected


def test_classes() -> None:
    (wrong,) = errors("StorageClass", provisioner="a b")
    assert wrong.startswith('provisioner: Invalid value: "a b": name part must consist of')
    topology = [{"matchLabelExpressions": [{"key": "a", "values": []}]}]
    assert errors("StorageClass", provisioner="a", allowedTopologies=topology) == [
        "allowedTopologies[0].matchLabelExpressions[0].values: Required value"
    ]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([{"type": "X"}], ['spec.limits[0].type: Invalid value: "X": must be a standard limit type or fully qualified']),
        ([{"type": "Container"}, {"type": "Container"}], ['spec.limits[1].type: Duplicate value: "Container"']),
        ([{"type": "Pod", "default": {"cpu": "1"}}], ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"]),
        (
            [{"type": "PersistentVolumeClaim"}],
            ["spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"],
        ),
        (
            [{"type": "Pod", "maxLimitRequestRatio": {"cpu": "500m"}}],
            ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'],
        ),
        (
            [{"type": "Container", "defaultRequest": {"cpu": "2"}, "default": {"cpu": "1"}}],
            ['spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than default limit value 1'],
        ),
        (
            [{"type": "Container", "min": {"cpu": "2"}, "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}}],
            [
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
                'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
            ],
        ),
    ],
)  # fmt: skip
def test_limit_ranges(limits: list[dict[str, Any]], expected: list[str]) -> None:
    assert errors("LimitRange", spec={"limits": limits}) == expected


def test_quotas() -> None:
    assert errors("ResourceQuota", spec={"hard": {"foo": "1"}}) == [
        'spec.hard[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
        'spec.hard[foo]: Invalid value: "foo": must be a standard resource for quota',
    ]
    assert errors("ResourceQuota", spec={"hard": {"pods": "1500m"}}) == [
        'spec.hard[pods]: Invalid value: "1500m": must be an integer'
    ]
    fine = {
        "count/deployments.apps": "1",
        "requests.nvidia.com/gpu": "1",
        "requests.cpu": "500m",
        "hugepages-2Mi": "4Mi",
    }
    assert errors("ResourceQuota", spec={"hard": fine}) == []


def test_docker_credentials_are_json() -> None:
    kind = "kubernetes.io/dockerconfigjson"
    assert errors("Secret", type=kind, stringData={".dockerconfigjson": "{}"}) == []
    assert errors("Secret", type=kind, stringData={".dockerconfigjson": "x"}) == [
        "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'x' looking for beginning of value"
    ]
