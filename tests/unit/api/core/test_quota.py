"""What objects use of a quota, and which quotas count them, as tables."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from kobune.api.core import Pod
from kobune.api.core.quota import Amounts, ResourceQuotaSpec, counts, object_usage


def container(cpu: str = "", **more: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": {"cpu": cpu} if cpu else {}}, **more}


def pod(*containers: dict[str, Any], phase: str = "Running", **spec: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": {"containers": list(containers), **spec}, "status": {"phase": phase}}


USAGE = [
    (
        "init containers run one by one, sidecars beside the rest, and the sandbox has its overhead",
        ("", "pods"),
        pod(
            container("1"),
            container("1"),
            initContainers=[container("500m", restartPolicy="Always"), container("3")],
            overhead={"cpu": "100m"},
        ),
        {"pods": "1", "count/pods": "1", "cpu": "3600m", "requests.cpu": "3600m"},
    ),
    (
        "limits and huge pages have their names",
        ("", "pods"),
        pod({"name": "c", "resources": {"limits": {"memory": "1Gi"}, "requests": {"hugepages-2Mi": "4Mi"}}}),
        {
            "pods": "1",
            "count/pods": "1",
            "limits.memory": "1Gi",
            "hugepages-2Mi": "4Mi",
            "requests.hugepages-2Mi": "4Mi",
        },
    ),
    ("a pod that ended is an object", ("", "pods"), pod(container("1"), phase="Succeeded"), {"count/pods": "1"}),
    (
        "a service counts by its type, ports of nodes too",
        ("", "services"),
        {"metadata": {}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}, {"port": 81}]}},
        {"services": "1", "count/services": "1", "services.loadbalancers": "1", "services.nodeports": "2"},
    ),
    (
        "a claim counts in all and by its class",
        ("", "persistentvolumeclaims"),
        {"metadata": {}, "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}}},
        {
            "persistentvolumeclaims": "1",
            "count/persistentvolumeclaims": "1",
            "requests.storage": "5Gi",
            "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            "fast.storageclass.storage.k8s.io/requests.storage": "5Gi",
        },
    ),
    ("others are counted", ("apps", "deployments"), {"spec": {}}, {"count/deployments.apps": "1"}),
    ("some by their name alone", ("", "secrets"), {}, {"secrets": "1", "count/secrets": "1"}),
]


@pytest.mark.parametrize(("resource", "obj", "used"), [row[1:] for row in USAGE], ids=[row[0] for row in USAGE])
def test_usage(resource: tuple[str, str], obj: dict[str, Any], used: dict[str, str]) -> None:
    found = object_usage(*resource, obj)
    assert found.render(found.values) == used


PLAIN = pod(container())
TIMED = pod(container("1"), activeDeadlineSeconds=5, priorityClassName="high")
SCOPES: list[tuple[dict[str, Any], bool, bool]] = [
    ({}, True, True),
    ({"scopes": ["Terminating"]}, False, True),
    ({"scopes": ["NotTerminating"]}, True, False),
    ({"scopes": ["BestEffort"]}, True, False),
    ({"scopes": ["NotBestEffort", "Terminating"]}, False, True),
    ({"scopes": ["NotKnown"]}, False, False),
    ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, False, True),
    (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}},
        True,
        False,
    ),
    (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
        False,
        True,
    ),
]


@pytest.mark.parametrize(("spec", "plain", "timed"), SCOPES, ids=[str(row[0]) for row in SCOPES])
def test_scopes(spec: dict[str, Any], plain: bool, timed: bool) -> None:
    quota = msgspec.convert(spec, ResourceQuotaSpec)
    assert counts(quota, msgspec.convert(PLAIN, Pod)) is plain
    assert counts(quota, msgspec.convert(TIMED, Pod)) is timed
    assert counts(quota, None) is (spec == {}), "scopes are about pods"


def test_growth_is_what_is_more_than_before() -> None:
    before, after = Amounts(), Amounts()
    for name, value in (("pods", 1), ("requests.memory", "1Gi"), ("gone", 1)):
        before.add(name, value)
    for name, value in (("pods", 1), ("requests.memory", "3Gi"), ("new", 2)):
        after.add(name, value)
    more = after.beyond(before)
    assert more.values == {"requests.memory": Decimal(2 << 30), "new": Decimal(2)}
    assert more.only(["requests.memory", "pods"]).render(["requests.memory"]) == {"requests.memory": "2Gi"}
