"""Decisions about endpoints, disruption budgets, quotas, roles and service accounts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kobune.api.core import ConfigMap, Endpoints, EndpointSlice, Namespace, PersistentVolumeClaim, Pod, Service
from kobune.api.core.quota import ResourceQuota
from kobune.embedded.builtin.disruption import decide as disruption
from kobune.embedded.builtin.endpoints import decide as endpoints
from kobune.embedded.builtin.quotas import decide as quotas
from kobune.embedded.builtin.roles import decide as roles
from kobune.embedded.builtin.serviceaccounts import decide as accounts
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, PatchObject

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(name: str, *, ready: bool = True, ip: str = "10.0.0.1", **more: Any) -> Pod:
    document: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": {"app": "web"}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }
    for section, changes in more.items():
        document[section] |= changes
    return msgspec.convert(document, Pod)


# endpoints

SERVICE = msgspec.convert(
    {
        "metadata": {"name": "web", "namespace": "default", "uid": "uid-web", "labels": {"a": "b"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    },
    Service,
)


def created(decision: Decision[Action], kind: str) -> list[dict[str, Any]]:
    return [action.obj for action in decision.actions if isinstance(action, Create) and action.resource.kind == kind]


def test_ready_pods_become_endpoints() -> None:
    seen = endpoints.Observed(
        SERVICE, (pod("b", ip="10.0.0.2"), pod("a"), pod("c", ready=False, ip="10.0.0.3")), (), None
    )
    decision = endpoints.decide(seen)
    (one,) = created(decision, "EndpointSlice")
    assert one["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert [(item["addresses"], item["conditions"]["ready"]) for item in one["endpoints"]] == [
        (["10.0.0.1"], True),
        (["10.0.0.2"], True),
        (["10.0.0.3"], False),
    ]
    assert one["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    (legacy,) = created(decision, "Endpoints")
    (subset,) = legacy["subsets"]
    assert [item["ip"] for item in subset["addresses"]] == ["10.0.0.1", "10.0.0.2"]
    assert [item["ip"] for item in subset["notReadyAddresses"]] == ["10.0.0.3"]
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]


def test_what_shows_the_pods_already_is_left_alone() -> None:
    decision = endpoints.decide(endpoints.Observed(SERVICE, (pod("a"),), (), None))
    (one,) = created(decision, "EndpointSlice")
    (legacy,) = created(decision, "Endpoints")
    existing = (msgspec.convert(one, EndpointSlice),)
    again = endpoints.decide(endpoints.Observed(SERVICE, (pod("a"),), existing, msgspec.convert(legacy, Endpoints)))
    assert again.actions == ()
    changed = endpoints.decide(
        endpoints.Observed(SERVICE, (pod("a", ready=False),), existing, msgspec.convert(legacy, Endpoints))
    )
    assert [type(action) for action in changed.actions] == [PatchObject, PatchObject]


def test_many_pods_fill_several_slices_and_leave_them() -> None:
    many = tuple(pod(f"p{number:03}", ip=f"10.0.1.{number}") for number in range(150))
    slices = created(endpoints.decide(endpoints.Observed(SERVICE, many, (), None)), "EndpointSlice")
    assert [len(item["endpoints"]) for item in slices] == [100, 50]
    existing = tuple(msgspec.convert(item, EndpointSlice) for item in slices)
    fewer = endpoints.decide(endpoints.Observed(SERVICE, many[:10], existing, None))
    assert [action.key.name for action in fewer.actions if isinstance(action, Delete)] == ["web-1"]


def test_endpoints_of_a_service_that_is_gone_go_unless_somebody_else_made_them() -> None:
    (ours,) = created(endpoints.decide(endpoints.Observed(SERVICE, (pod("a"),), (), None)), "Endpoints")
    decision = endpoints.decide(endpoints.Observed(None, (), (), msgspec.convert(ours, Endpoints)))
    assert [type(action) for action in decision.actions] == [Delete]
    theirs = msgspec.convert({"metadata": {"name": "web"}}, Endpoints)
    assert endpoints.decide(endpoints.Observed(None, (), (), theirs)).actions == ()


def test_pods_that_end_serve_no_more() -> None:
    going = pod("a", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    done = pod("b", status={"phase": "Succeeded"})
    (one,) = created(endpoints.decide(endpoints.Observed(SERVICE, (going, done), (), None)), "EndpointSlice")
    assert [item["conditions"] for item in one["endpoints"]] == [{"ready": False, "serving": True, "terminating": True}]


# disruption budgets


def budget(status: dict[str, Any] | None = None, **spec: Any) -> disruption.Budget:
    metadata = {"name": "b", "namespace": "default", "generation": 3, "resourceVersion": "7"}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": status or {}}, disruption.Budget)


@pytest.mark.parametrize(
    ("spec", "ready", "total", "scale", "wanted"),
    [
        pytest.param({"minAvailable": 1}, 2, 2, None, (1, 1, 2), id="one of two may go"),
        pytest.param({"minAvailable": 1}, 1, 1, None, (0, 1, 1), id="the last one may not"),
        pytest.param({"minAvailable": "50%"}, 3, 3, 3, (1, 2, 3), id="percentages are rounded up"),
        pytest.param({"maxUnavailable": 1}, 2, 2, 3, (0, 2, 3), id="one is missing already"),
        pytest.param({"maxUnavailable": "100%"}, 3, 3, 3, (3, 0, 3), id="all may go"),
        pytest.param({"maxUnavailable": 1}, 2, 2, None, (0, 0, 2), id="without a scale nobody may go"),
        pytest.param({"minAvailable": 0}, 0, 0, None, (0, 0, 0), id="nothing is there"),
    ],
)
def test_budgets(spec: dict[str, Any], ready: int, total: int, scale: int | None, wanted: tuple[int, int, int]) -> None:
    selected = tuple(pod(f"p{number}", ready=number < ready) for number in range(total))
    decision = disruption.decide(disruption.Observed(budget(**spec), selected, scale, NOW))
    assert decision.status is not None
    status = decision.status.status
    assert (status["disruptionsAllowed"], status["desiredHealthy"], status["expectedPods"]) == wanted
    assert status["observedGeneration"] == 3
    assert decision.status.resource_version == "7"


def test_an_evicted_pod_does_not_count_until_its_note_is_forgotten() -> None:
    noted = {
        "disruptedPods": {"p0": "2026-01-01T11:59:00Z", "gone": "2026-01-01T11:59:00Z", "p1": "2026-01-01T11:00:00Z"}
    }
    seen = disruption.Observed(budget(noted, minAvailable=1), (pod("p0"), pod("p1")), None, NOW)
    decision = disruption.decide(seen)
    assert decision.status is not None
    assert decision.status.status["disruptedPods"] == {"p0": "2026-01-01T11:59:00Z"}
    assert decision.status.status["currentHealthy"] == 1
    assert decision.requeue_after == timedelta(seconds=60)


# quotas


def with_resources(requests: dict[str, str], limits: dict[str, str], **spec: Any) -> Pod:
    container = {"name": "c", "resources": {"requests": requests, "limits": limits}}
    return pod("p", spec={"containers": [container], **spec})


def test_usage_is_shown_as_it_was_written() -> None:
    quota = msgspec.convert(
        {"metadata": {}, "spec": {"hard": {"pods": "4", "requests.cpu": "2", "limits.memory": "2Gi", "services": 1}}},
        ResourceQuota,
    )
    one = with_resources({"cpu": "500m", "memory": "1Mi"}, {"memory": "256Mi"})
    seen = quotas.Observed(quota, (one, one), (SERVICE,), (), {})
    status = quotas.decide(seen).status
    assert status is not None
    assert status.status["used"] == {"limits.memory": "512Mi", "pods": "2", "requests.cpu": "1", "services": "1"}
    assert status.status["hard"] == {"pods": "4", "requests.cpu": "2", "limits.memory": "2Gi", "services": 1}


def test_claims_count_by_class_and_others_as_counted() -> None:
    claim = msgspec.convert(
        {"metadata": {}, "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}}},
        PersistentVolumeClaim,
    )
    hard = {
        "requests.storage": "10Gi",
        "fast.storageclass.storage.k8s.io/requests.storage": "10Gi",
        "count/widgets.example.com": "9",
        "configmaps": "5",
    }
    quota = msgspec.convert({"metadata": {}, "spec": {"hard": hard}}, ResourceQuota)
    seen = quotas.Observed(quota, (), (), (claim,), {"count/widgets.example.com": 3, "configmaps": 2})
    decision = quotas.decide(seen)
    assert decision.status is not None
    assert decision.status.status["used"] == {
        "requests.storage": "5Gi",
        "fast.storageclass.storage.k8s.io/requests.storage": "5Gi",
        "count/widgets.example.com": "3",
        "configmaps": "2",
    }
    assert decision.requeue_after is not None
    assert quotas.counted_resource("count/pods") is None
    assert quotas.counted_resource("count/widgets.example.com") == ("example.com", "widgets")


# roles and service accounts


def role(name: str, *verbs: str) -> roles.ClusterRole:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]} for verb in verbs]
    return msgspec.convert({"metadata": {"name": name}, "rules": rules}, roles.ClusterRole)


def test_rules_are_taken_together_once_and_in_order() -> None:
    whole = role("whole")
    (action,) = roles.decide(roles.Observed(whole, ((role("a", "get"), role("b", "list", "get")), (whole,)))).actions
    assert isinstance(action, PatchObject)
    assert [rule["verbs"] for rule in action.patch.body["rules"]] == [["get"], ["list"]]
    done = role("whole", "get", "list")
    assert roles.decide(roles.Observed(done, ((role("a", "get"), role("b", "list")),))).actions == ()


@pytest.mark.parametrize(
    ("deleting", "has_account", "authority", "wanted"),
    [
        pytest.param(False, True, {"ca.crt": "CA"}, [], id="everything is there: do nothing"),
        pytest.param(False, False, None, [Create, Create], id="a new namespace: create both"),
        pytest.param(False, True, {"ca.crt": "other"}, [PatchObject], id="the authority differs: restore it"),
        pytest.param(True, False, None, [], id="a namespace that ends: do nothing"),
    ],
)
def test_accounts(deleting: bool, has_account: bool, authority: dict[str, str] | None, wanted: list[type]) -> None:
    metadata = {"name": "n"} | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {})
    namespace = msgspec.convert({"metadata": metadata}, Namespace)
    known = ConfigMap(data=authority) if authority is not None else None
    decision = accounts.decide(accounts.Observed(namespace, has_account, known, "CA"))
    assert [type(action) for action in decision.actions] == wanted
