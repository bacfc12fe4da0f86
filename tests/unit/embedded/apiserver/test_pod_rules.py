"""Pods as a kube-apiserver judges them: what is refused, with which words, and what is accepted with a warning."""

# ruff: noqa: E501 - messages stay whole

from typing import Any

import pytest

from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.validation import default, validate_create, warnings

Pod = dict[str, Any]
PODS = next(info for info in resources() if info.kind == "Pod")
DEPLOYMENTS = next(info for info in resources() if info.kind == "Deployment")
SERVICES = next(info for info in resources() if info.kind == "Service")


def container(**more: Any) -> dict[str, Any]:
    return {"name": "c", "image": "i", **more}


def pod(name: str = "x", **spec: Any) -> Pod:
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "n"},
        "spec": {"containers": [container()], **spec},
    }
    assert PODS.schema.decode(obj) == []
    default(PODS, obj)
    return obj


def one(**more: Any) -> dict[str, Any]:
    return {"containers": [container(**more)]}


EMPTY = [{"name": "v", "emptyDir": {}}]
NODE = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"volumes": [{"name": "v"}]}, []),
        (
            one(ports=[{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]),
            ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"'],
        ),
        (
            {"hostNetwork": True, **one(ports=[{"containerPort": 80, "hostPort": 81}])},
            [
                "spec.containers[0].ports[0].containerPort: Invalid value: 80: must match `hostPort` when `hostNetwork` is true"
            ],
        ),
        (
            one(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.foo"}}}]),
            [
                'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.foo": error converting'
                " fieldPath: field label not supported: metadata.foo"
            ],
        ),
        (
            one(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]),
            [],
        ),
        (
            one(envFrom=[{}]),
            ['spec.containers[0].envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
        ),
        (
            {
                "volumes": EMPTY,
                **one(volumeMounts=[{"name": "v", "mountPath": "/x", "subPath": "a", "subPathExpr": "b"}]),
            },
            [
                'spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: "b": subPathExpr and subPath are mutually exclusive'
            ],
        ),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/a/../b", "type": "Nope"}}]},
            [
                "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
                'spec.volumes[0].hostPath.type: Unsupported value: "Nope": supported values: "", "BlockDevice",'
                ' "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
            ],
        ),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 1000}}]},
            [
                "spec.volumes[0].secret.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive"
            ],
        ),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "s", "items": [{"key": "k", "path": "..x"}]}}]},
            ["spec.volumes[0].configMap.items[0].path: Invalid value: \"..x\": must not start with '..'"],
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "projected": {
                            "sources": [
                                {"secret": {"name": "a", "items": [{"key": "k", "path": "p"}]}},
                                {"serviceAccountToken": {"path": "p", "expirationSeconds": 5}},
                            ]
                        },
                    }
                ]
            },
            [
                "spec.volumes[0].projected.sources[1].serviceAccountToken.expirationSeconds: Invalid value: 5: may not"
                " specify a duration less than 10 minutes",
                'spec.volumes[0].projected: Invalid value: "p": conflicting duplicate paths',
            ],
        ),
        (
            one(livenessProbe={"httpGet": {"port": 80}, "successThreshold": 2}),
            ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        (
            one(readinessProbe={"grpc": {"port": 0}, "terminationGracePeriodSeconds": 5}),
            [
                "spec.containers[0].readinessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for"
                " readinessProbes",
            ],
        ),
        (
            one(lifecycle={"preStop": {}}),
            ["spec.containers[0].lifecycle.preStop: Required value: must specify a handler type"],
        ),
        (
            one(resources={"limits": {"foo": "1"}}),
            [
                'spec.containers[0].resources.limits[foo]: Invalid value: "foo": must be a standard resource type or'
                " fully qualified",
                'spec.containers[0].resources.limits[foo]: Invalid value: "foo": must be a standard resource for containers',
                'spec.containers[0].resources.requests[foo]: Invalid value: "foo": must be a standard resource type or'
                " fully qualified",
                'spec.containers[0].resources.requests[foo]: Invalid value: "foo": must be a standard resource for containers',
            ],
        ),
        (
            one(resources={"limits": {"hugepages-2Mi": "4Mi"}}),
            ["spec.containers[0].resources: Forbidden: HugePages require cpu or memory"],
        ),
        (
            {"initContainers": [{"name": "d", "image": "i", "livenessProbe": {"exec": {"command": ["a"]}}}]},
            [
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"
            ],
        ),
        (
            {"ephemeralContainers": [{"name": "d", "image": "i"}]},
            ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
        (
            {"schedulingGates": [{"name": "a"}], "nodeName": "n"},
            ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
        ),
        ({"dnsPolicy": "None"}, ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
        (
            {"affinity": {"nodeAffinity": {NODE: {"nodeSelectorTerms": []}}}},
            [
                f"spec.affinity.nodeAffinity.{NODE}.nodeSelectorTerms: Required value: must have at least one node selector term"
            ],
        ),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        NODE: {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "a", "operator": "Is"}]}
                            ]
                        }
                    }
                }
            },
            [
                f"spec.affinity.nodeAffinity.{NODE}.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must"
                " be specified when `operator` is 'In' or 'NotIn'",
                f"spec.affinity.nodeAffinity.{NODE}.nodeSelectorTerms[0].matchExpressions[1].operator: Invalid value:"
                ' "Is": not a valid selector operator',
            ],
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "X"}]},
            [
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
                "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
                'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values:'
                ' "DoNotSchedule", "ScheduleAnyway"',
            ],
        ),
        (
            {"volumes": EMPTY, **one(volumeDevices=[{"name": "v", "devicePath": "/x"}])},
            [
                'spec.containers[0].volumeDevices[0].name: Invalid value: "v": can only use volume source type of'
                " PersistentVolumeClaim or Ephemeral for block mode"
            ],
        ),
        (
            {"securityContext": {"runAsUser": -1}},
            ["spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"],
        ),
    ],
)
def test_pods_are_refused_in_the_real_servers_words(spec: dict[str, Any], expected: list[str]) -> None:
    assert [str(error) for error in validate_create(PODS, pod(**spec))] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pod(), []),
        (
            pod("a.b"),
            [
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is"
                " recommended: [must not contain dots]"
            ],
        ),
        (
            pod(**one(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
            ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        (pod(**one(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}])), []),
        (
            pod(**one(ports=[{"containerPort": 80}, {"containerPort": 80}])),
            ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
        ),
        (
            pod(nodeSelector={"beta.kubernetes.io/os": "linux"}),
            ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
        ),
        (pod(imagePullSecrets=[{}]), ['spec.imagePullSecrets[0].name: invalid empty name ""']),
        (
            pod(**one(resources={"limits": {"memory": "1500m"}, "requests": {"memory": "1"}})),
            [
                'spec.containers[0].resources.limits[memory]: fractional byte value "1500m" is invalid, must be an integer'
            ],
        ),
        (
            pod(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname"}]),
            ["spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"],
        ),
    ],
)
def test_pods_are_warned_about(given: Pod, expected: list[str]) -> None:
    assert warnings(PODS, given, None) == expected


def test_templates_are_warned_about_once_they_change() -> None:
    template = {"spec": pod(**one(ports=[{"containerPort": 80}, {"containerPort": 80}]))["spec"]}
    deployment = {"metadata": {"name": "d"}, "spec": {"template": template}}
    expected = [
        "spec.template.spec.containers[0].ports[1]: duplicate port definition with"
        " spec.template.spec.containers[0].ports[0]"
    ]
    assert warnings(DEPLOYMENTS, deployment, None) == expected
    assert warnings(DEPLOYMENTS, deployment, deployment) == []
    assert warnings(DEPLOYMENTS, deployment, {**deployment, "spec": {}}) == expected


def test_services_are_warned_about() -> None:
    service = {
        "metadata": {"name": "s"},
        "spec": {"clusterIP": "None", "clusterIPs": ["None"], "sessionAffinity": "ClientIP", "externalName": "x"},
    }
    assert warnings(SERVICES, service, None) == [
        'spec.externalName is ignored when spec.type is not "ExternalName"',
        "spec.SessionAffinity is ignored for headless services",
    ]
