"""Workloads, schedules, networking kinds and autoscalers as a kube-apiserver judges them."""

# ruff: noqa: E501 - messages stay whole

import copy
from typing import Any

import pytest

from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.strategy import strategy_for
from kobune.embedded.apiserver.validation import default, validate_create
from kobune.embedded.apiserver.validation.schedules import schedule_problem, zone_problem

INFOS = {info.kind: info for info in resources() if (info.kind, info.version) != ("HorizontalPodAutoscaler", "v1")}
POD = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
JOB = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
BACKEND = {"service": {"name": "a", "port": {"number": 80}}}


def errors(kind: str, spec: dict[str, Any], **metadata: Any) -> list[str]:
    info = INFOS[kind]
    meta = {"name": "x", **({"namespace": "n"} if info.namespaced else {}), **metadata}
    obj: dict[str, Any] = {"apiVersion": info.group_version, "kind": kind, "metadata": meta, "spec": spec}
    assert info.schema.decode(obj) == []
    default(info, obj)
    return [str(error) for error in validate_create(info, obj)]


def workload(kind: str, **spec: Any) -> list[str]:
    return errors(kind, {"selector": {"matchLabels": {"a": "b"}}, "template": POD, **spec})


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("Deployment", {}, []),
        (
            "Deployment",
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"],
        ),
        (
            "Deployment",
            {"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}},
            ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
        ),
        (
            "Deployment",
            {"minReadySeconds": 600},
            ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
        ),
        ("StatefulSet", {}, []),
        (
            "StatefulSet",
            {"podManagementPolicy": "X", "updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
            [
                "spec.podManagementPolicy: Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'",
                "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'",
            ],
        ),
        ("DaemonSet", {}, []),
        (
            "DaemonSet",
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
            ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
        ),
        (
            "DaemonSet",
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}},
            [
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"
            ],
        ),
    ],
)
def test_workloads(kind: str, spec: dict[str, Any], expected: list[str]) -> None:
    assert workload(kind, **spec) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"manualSelector": True}, ["spec.selector: Required value"]),
        ({"completionMode": "Indexed", "parallelism": 2}, ["spec.completions: Required value: when completion mode is Indexed"]),
        ({"backoffLimitPerIndex": 1}, ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]),
        (
            {"podFailurePolicy": {"rules": [{"action": "X"}]}},
            ['spec.podFailurePolicy.rules[0].action: Unsupported value: "X": supported values: "Count", "FailIndex", "FailJob", "Ignore"'],
        ),
    ],
)  # fmt: skip
def test_jobs(spec: dict[str, Any], expected: list[str]) -> None:
    assert errors("Job", {"template": JOB, **spec}) == expected


def new_job(labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    template = {**JOB, "metadata": {"labels": labels}} if labels else copy.deepcopy(JOB)
    job = {"metadata": {"name": "x", "namespace": "n", "uid": "u"}, "spec": {"template": template, **spec}}
    default(INFOS["Job"], job)
    strategy_for(INFOS["Job"]).prepare_create(INFOS["Job"], job)
    return job


def test_a_job_selects_by_its_uid() -> None:
    job = new_job()
    labels = dict.fromkeys(("job-name", "batch.kubernetes.io/job-name"), "x")
    labels |= dict.fromkeys(("controller-uid", "batch.kubernetes.io/controller-uid"), "u")
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert job["spec"]["template"]["metadata"]["labels"] == job["metadata"]["labels"] == labels
    assert validate_create(INFOS["Job"], job) == []


def test_labels_of_a_generated_selector_are_not_the_users_to_choose() -> None:
    job = new_job({"job-name": "other"}, selector={"matchLabels": {"a": "b"}})
    found = [(error.field, error.message.rpartition(": ")[2]) for error in validate_create(INFOS["Job"], job)]
    assert found == [
        ("spec.template.metadata.labels[job-name]", "must be 'x'"),
        ("spec.selector", "`selector` not auto-generated"),
        ("spec.template.metadata.labels", "`selector` does not match template `labels`"),
    ]


def test_a_job_may_have_a_selector_of_the_users() -> None:
    job = new_job({"a": "b"}, manualSelector=True, selector={"matchLabels": {"a": "b"}})
    assert job["spec"]["template"]["metadata"]["labels"] == job["metadata"]["labels"] == {"a": "b"}
    assert validate_create(INFOS["Job"], job) == []
    job["spec"]["selector"] = {"matchLabels": {"a": "c"}}
    assert [error.field for error in validate_create(INFOS["Job"], job)] == ["spec.template.metadata.labels"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/5 0-6,12 1 jan-mar mon", ""),
        ("@daily", ""),
        ("@every 5m", ""),
        ("x", "expected exactly 5 fields, found 1: [x]"),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* 5-3 * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("@often", "unrecognized descriptor: @often"),
    ],
)
def test_schedules(text: str, expected: str) -> None:
    assert schedule_problem(text) == expected


def test_cron_jobs() -> None:
    job = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": JOB}}}
    assert errors("CronJob", job) == []
    assert errors("CronJob", {**job, "schedule": "TZ=UTC * * * * *"}) == [
        'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
    ]
    assert errors("CronJob", {**job, "timeZone": "", "startingDeadlineSeconds": -1}) == [
        'spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string',
        "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
    ]
    (long,) = errors("CronJob", job, name="a" * 53)
    assert long.endswith("must be no more than 52 characters")
    assert zone_problem("local").startswith("timeZone must be an explicit time zone")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"defaultBackend": BACKEND}, []),
        ({"defaultBackend": {}}, ['spec.defaultBackend: Invalid value: "": resource or service backend is required']),
        ({"defaultBackend": {"service": {"name": "a"}}}, ["spec.defaultBackend: Required value: port name or number is required"]),
        (
            {"defaultBackend": {"service": {"name": "a", "port": {"number": 80, "name": "x"}}}},
            ['spec.defaultBackend: Invalid value: "": cannot set both port name & port number'],
        ),
        ({"rules": [{"host": "1.2.3.4"}]}, ['spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address']),
        (
            {"rules": [{"http": {"paths": [{"path": "/a//b", "pathType": "Prefix", "backend": BACKEND}]}}]},
            ["spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'"],
        ),
    ],
)  # fmt: skip
def test_ingresses(spec: dict[str, Any], expected: list[str]) -> None:
    assert errors("Ingress", spec) == expected


def test_an_ingress_has_one_class() -> None:
    annotations = {"kubernetes.io/ingress.class": "a"}
    spec = {"defaultBackend": BACKEND, "ingressClassName": "b"}
    assert errors("Ingress", spec, annotations=annotations) == [
        'annotations.kubernetes.io/ingress.class: Invalid value: "a": must match `ingressClassName` when both are specified'
    ]
    assert errors("Ingress", {**spec, "ingressClassName": "a"}, annotations=annotations) == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"ports": [{"port": 0}]}, ["spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"]),
        (
            {"ports": [{"port": 80, "endPort": 70}]},
            ["spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`"],
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/24", "10.1.0.0/16"]}}]},
            ['spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/24": must be a strict subset of `cidr`'],
        ),
    ],
)  # fmt: skip
def test_network_policies(rule: dict[str, Any], expected: list[str]) -> None:
    assert errors("NetworkPolicy", {"podSelector": {}, "ingress": [rule]}) == expected


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 5}}}, []),
        ({"type": "X"}, ['spec.metrics[0].type: Unsupported value: "X": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"']),
        ({"type": "Resource"}, ["spec.metrics[0].resource: Required value: must populate information for the given metric source"]),
        (
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}},
            ["spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization"],
        ),
    ],
)  # fmt: skip
def test_autoscalers(metric: dict[str, Any], expected: list[str]) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [metric]}
    assert errors("HorizontalPodAutoscaler", spec) == expected
