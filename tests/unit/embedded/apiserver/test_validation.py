"""Defaults and rules of built-in kinds."""

import copy
from typing import Any

import pytest

from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.validation import default, validate_create, validate_update

INFOS = {r.kind: r for r in resources() if r.group != "events.k8s.io"}


def stored(kind: str, **parts: Any) -> dict[str, Any]:
    info = INFOS[kind]
    meta = {"name": "x", **({"namespace": "n"} if info.namespaced else {}), **parts.pop("metadata", {})}
    obj: dict[str, Any] = {"apiVersion": info.group_version, "kind": kind, "metadata": meta, **parts}
    info.schema.decode(obj)
    default(info, obj)
    return obj


def found(kind: str, **parts: Any) -> list[tuple[str, str]]:
    return [(e.field, e.message) for e in validate_create(INFOS[kind], stored(kind, **parts))]


def changed(obj: dict[str, Any], **parts: Any) -> list[tuple[str, str]]:
    new = copy.deepcopy(obj)
    for name, value in parts.items():
        new[name] = {**new[name], **value} if isinstance(value, dict) and name in new else value
    return [(e.field, e.message) for e in validate_update(INFOS[obj["kind"]], new, obj)]


CONTAINER = {"name": "a", "image": "i:1"}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
SELECTOR = {"matchLabels": {"a": "b"}}

VALID: list[tuple[str, dict[str, Any]]] = [
    ("Pod", {"spec": {"containers": [CONTAINER]}}),
    ("ConfigMap", {"data": {"a.b": "1"}}),
    ("Secret", {"stringData": {"a": "1"}}),
    ("Service", {"spec": {"ports": [{"port": 80}]}}),
    (
        "PersistentVolumeClaim",
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
    ),
    (
        "PersistentVolume",
        {"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}},
    ),
    ("Deployment", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("StatefulSet", {"spec": {"selector": SELECTOR, "template": TEMPLATE, "serviceName": "s"}}),
    ("DaemonSet", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("Job", {"spec": {"template": {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}}}),
    ("PodDisruptionBudget", {"spec": {"minAvailable": "50%"}}),
    ("Role", {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}),
    ("RoleBinding", {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]}),
    ("Lease", {"spec": {"leaseDurationSeconds": 15}}),
    ("NetworkPolicy", {"spec": {"podSelector": {}}}),
    ("StorageClass", {"provisioner": "x.io/p"}),
    ("PriorityClass", {"value": 5}),
    ("Namespace", {}),
    ("Node", {}),
    ("ResourceQuota", {"spec": {"hard": {"pods": "2"}}}),
]


@pytest.mark.parametrize(("kind", "parts"), VALID, ids=[kind for kind, _ in VALID])
def test_plain_objects_are_valid_and_may_be_updated_unchanged(kind: str, parts: dict[str, Any]) -> None:
    obj = stored(kind, **parts)
    assert validate_create(INFOS[kind], obj) == []
    assert validate_update(INFOS[kind], copy.deepcopy(obj), obj) == []
    again = copy.deepcopy(obj)
    default(INFOS[kind], again)
    assert again == obj


def test_pods_get_their_defaults() -> None:
    probe = {"livenessProbe": {"httpGet": {"port": 80}}, "ports": [{"containerPort": 80}]}
    limits = {"resources": {"limits": {"cpu": "1"}}}
    volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "e"}]
    pod = stored("Pod", spec={"containers": [{"name": "a", "image": "r/x", **probe, **limits}], "volumes": volumes})
    spec = pod["spec"]
    container = spec["containers"][0]
    assert (spec["restartPolicy"], spec["dnsPolicy"], spec["terminationGracePeriodSeconds"]) == (
        "Always",
        "ClusterFirst",
        30,
    )
    assert container["imagePullPolicy"] == "Always"
    assert container["livenessProbe"]["httpGet"] == {"port": 80, "path": "/", "scheme": "HTTP"}
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["resources"]["requests"] == {"cpu": "1"}
    assert spec["volumes"] == [
        {"name": "c", "configMap": {"name": "c", "defaultMode": 420}},
        {"name": "e", "emptyDir": {}},
    ]
    pinned = stored("Pod", spec={"containers": [{"name": "a", "image": "localhost:5000/x:1"}]})
    assert pinned["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_secrets_are_encoded_and_claims_know_their_source() -> None:
    assert stored("Secret", stringData={"a": "1"})["data"] == {"a": "MQ=="}
    snapshot = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
    assert stored("PersistentVolumeClaim", spec={"dataSource": snapshot})["spec"]["dataSourceRef"] == snapshot
    thing = {"apiGroup": "x.io", "kind": "Thing", "name": "s"}
    assert "dataSource" not in stored("PersistentVolumeClaim", spec={"dataSource": thing})["spec"]
    assert stored("PersistentVolumeClaim", spec={"dataSourceRef": thing})["spec"]["dataSource"] == thing


@pytest.mark.parametrize(
    ("kind", "parts", "fields"),
    [
        ("ConfigMap", {"metadata": {"name": "Upper"}}, ["metadata.name"]),
        ("ConfigMap", {"metadata": {"labels": {"bad key": "v!"}}}, ["metadata.labels", "metadata.labels"]),
        ("ConfigMap", {"metadata": {"finalizers": ["plain"]}}, ["metadata.finalizers[0]"]),
        (
            "ConfigMap",
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": ""}]}},
            ["metadata.ownerReferences.uid"],
        ),
        ("ConfigMap", {"data": {"a b": "1"}}, ["data[a b]"]),
        ("ConfigMap", {"data": {"k": "1"}, "binaryData": {"k": "MQ=="}}, ["data[k]"]),
        ("Namespace", {"metadata": {"name": "a.b"}}, ["metadata.name"]),
        ("Pod", {"spec": {}}, ["spec.containers"]),
        ("Pod", {"spec": {"containers": [CONTAINER, CONTAINER]}}, ["spec.containers[1].name"]),
        (
            "Pod",
            {"spec": {"containers": [{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}},
            ["spec.containers[0].volumeMounts[0].name"],
        ),
        (
            "Pod",
            {"spec": {"containers": [{**CONTAINER, "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}]}},
            ["spec.containers[0].resources.requests"],
        ),
        ("Pod", {"spec": {"containers": [CONTAINER], "restartPolicy": "Maybe"}}, ["spec.restartPolicy"]),
        (
            "Pod",
            {"spec": {"containers": [CONTAINER], "tolerations": [{"operator": "Equal"}]}},
            ["spec.tolerations[0].operator"],
        ),
        ("Service", {"spec": {}}, ["spec.ports"]),
        ("Service", {"spec": {"ports": [{"port": 1}, {"port": 2}]}}, ["spec.ports[0].name", "spec.ports[1].name"]),
        ("Service", {"spec": {"type": "Weird", "ports": [{"port": 1}]}}, ["spec.type"]),
        ("PersistentVolumeClaim", {"spec": {"accessModes": ["ReadWriteOnce"]}}, ["spec.resources[storage]"]),
        (
            "Deployment",
            {"spec": {"selector": {"matchLabels": {"x": "y"}}, "template": TEMPLATE}},
            ["spec.template.metadata.labels"],
        ),
        ("Job", {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}}, ["spec.template.spec.restartPolicy"]),
        ("PodDisruptionBudget", {"spec": {"maxUnavailable": "half"}}, ["spec.maxUnavailable"]),
        ("Role", {"rules": [{"apiGroups": [""], "resources": ["pods"]}]}, ["rules[0].verbs"]),
        ("RoleBinding", {"roleRef": {"kind": "Pod", "name": "r"}}, ["roleRef.kind"]),
        (
            "ClusterRoleBinding",
            {"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}]},
            ["subjects[0].namespace"],
        ),
        ("Node", {"spec": {"taints": [{"key": "k", "effect": "Bad"}]}}, ["metadata.taints[0].effect"]),
        ("ResourceQuota", {"spec": {"hard": {"pods": "-1"}}}, ["spec.hard[pods]"]),
        ("PriorityClass", {"value": 2000000000}, ["value"]),
        ("Endpoints", {"subsets": [{"addresses": [{"ip": "127.0.0.1"}]}]}, ["subsets[0].addresses[0].ip"]),
        (
            "ValidatingWebhookConfiguration",
            {
                "webhooks": [
                    {"name": "a.b.c", "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": ["v1"]}
                ]
            },
            ["webhooks[0].clientConfig"],
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_field(kind: str, parts: dict[str, Any], fields: list[str]) -> None:
    assert [field for field, _ in found(kind, **parts)] == fields


def test_what_an_update_may_not_change() -> None:
    pod = stored("Pod", spec={"containers": [CONTAINER]})
    assert changed(pod, spec={"containers": [{**pod["spec"]["containers"][0], "image": "i:2"}]}) == []
    assert [f for f, _ in changed(pod, spec={"hostname": "h"})] == ["spec"]
    assert [f for f, _ in changed(pod, spec={"containers": []})] == ["spec.containers"]
    frozen = stored("ConfigMap", data={"a": "1"}, immutable=True)
    assert changed(frozen, data={"a": "2"}) == [("data", "Forbidden: field is immutable when `immutable` is set")]
    binding = stored("RoleBinding", roleRef={"kind": "Role", "name": "r"})
    assert [f for f, _ in changed(binding, roleRef={"name": "other"})] == ["roleRef"]
    workload = stored("Deployment", spec={"selector": SELECTOR, "template": TEMPLATE})
    other = {"matchLabels": {"a": "b", "c": "d"}}
    template = copy.deepcopy(workload["spec"]["template"])
    template["metadata"]["labels"]["c"] = "d"
    assert [f for f, _ in changed(workload, spec={"selector": other, "template": template})] == ["spec.selector"]


def test_a_deleted_object_takes_no_new_finalizers() -> None:
    old = stored("ConfigMap", metadata={"deletionTimestamp": "2024-01-01T00:00:00Z", "finalizers": ["x.io/a"]})
    messages = {m for _, m in changed(old, metadata={"finalizers": ["x.io/a", "x.io/b"]})}
    assert messages == {
        "Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"x.io/b"}'
    }
    assert changed(old, metadata={"finalizers": []}) == []


def test_a_namespaces_phase_follows_its_deletion() -> None:
    info = next(info for info in resources() if info.kind == "Namespace")
    meta = {"name": "n", "uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    ending = {**meta, "deletionTimestamp": "2026-01-02T00:00:00Z"}

    def told(metadata: dict[str, Any], phase: str) -> list[str]:
        obj = {"metadata": metadata, "status": {"phase": phase}}
        return [str(error) for error in validate_update(info, obj, obj, "status")]

    assert told(meta, "Active") == []
    assert told(ending, "Terminating") == []
    assert told(meta, "Terminating") == [
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    ]
    assert told(ending, "Active") == [
        "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"
    ]
