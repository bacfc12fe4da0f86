"""Tables: cells as kubectl prints them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kobune.embedded.apiserver.crd import resources as custom_resources
from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.table import JsonPathError, evaluate, parse, render
from kobune.embedded.apiserver.table.cells import duration

NOW = datetime(2024, 1, 2, tzinfo=UTC)
INFOS = {(r.group, r.kind): r for r in resources()}


def row(group: str, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    obj.setdefault("metadata", {}).setdefault("name", "x")
    obj["metadata"]["creationTimestamp"] = "2024-01-01T23:55:00Z"
    table = render(INFOS[(group, kind)], [obj], now=NOW)
    names = [c["name"] for c in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-5, "<invalid>"),
        (119, "119s"),
        (125, "2m5s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 120, "3h2m"),
        (9 * 3600, "9h"),
        (50 * 3600, "2d2h"),
        (10 * 86400, "10d"),
        (800 * 86400, "2y70d"),
    ],
)
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def pod(**status: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}, "status": status}


def state(**parts: Any) -> dict[str, Any]:
    return {"name": "a", "ready": False, "restartCount": 0, "state": parts}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(phase="Pending"), {"Ready": "0/2", "Status": "Pending", "Restarts": "0", "IP": "<none>"}),
        (
            pod(phase="Running", containerStatuses=[{**state(running={}), "ready": True}], podIPs=[{"ip": "10.0.0.1"}]),
            {"Ready": "1/2", "Status": "Running", "IP": "10.0.0.1"},
        ),
        (
            pod(phase="Pending", containerStatuses=[state(waiting={"reason": "ErrImagePull"})]),
            {"Status": "ErrImagePull"},
        ),
        (pod(phase="Running", containerStatuses=[state(terminated={"exitCode": 3})]), {"Status": "ExitCode:3"}),
        (pod(phase="Failed", reason="Evicted"), {"Status": "Evicted"}),
        (
            {
                "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}]},
                "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]},
            },
            {"Status": "Init:0/1"},
        ),
        (
            {**pod(phase="Running"), "metadata": {"name": "x", "deletionTimestamp": "2024-01-01T00:00:00Z"}},
            {"Status": "Terminating"},
        ),
    ],
)
def test_pods_show_a_condensed_status(obj: dict[str, Any], expected: dict[str, Any]) -> None:
    cells = row("", "Pod", obj)
    assert {k: cells[k] for k in expected} == expected
    assert cells["Age"] == "5m"


def test_services_show_ports_and_addresses() -> None:
    spec = {
        "type": "NodePort",
        "clusterIP": "10.1.1.1",
        "ports": [{"port": 80, "nodePort": 30001, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
        "selector": {"b": "2", "a": "1"},
    }
    cells = row("", "Service", {"spec": spec})
    assert cells["Port(s)"] == "80:30001/TCP,53/UDP"
    assert cells["Selector"] == "a=1,b=2"
    assert cells["External-IP"] == "<none>"


def test_nodes_show_roles_and_state() -> None:
    node = {
        "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.2"}],
        },
    }
    cells = row("", "Node", node)
    assert cells["Status"] == "Ready,SchedulingDisabled"
    assert cells["Roles"] == "control-plane"
    assert cells["Internal-IP"] == "10.0.0.2"


def test_every_kind_renders_a_bare_object() -> None:
    for info in resources():
        obj: dict[str, Any] = {"metadata": {"name": "x"}}
        info.schema.decode(obj)
        table = render(info, [obj], now=NOW, include="None")
        assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"]), info.kind
        assert table["rows"][0]["object"] is None


def test_custom_columns_follow_their_paths() -> None:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Any", "type": "string", "jsonPath": ".spec.any"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    version = {"name": "v1", "served": True, "storage": True, "additionalPrinterColumns": columns}
    names = {"kind": "W", "plural": "ws"}
    info = custom_resources({"spec": {"group": "x.io", "names": names, "scope": "Cluster", "versions": [version]}})[0]
    full = {
        "metadata": {"name": "f", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"size": 3, "any": {"w": [1]}},
        "status": {"conditions": [{"type": "X", "status": "?"}, {"type": "Ready", "status": "True"}]},
    }
    rows = render(info, [full, {"metadata": {"name": "bare"}, "spec": {"size": "x"}}], now=NOW)["rows"]
    assert rows[0]["cells"] == ["f", 3, "True", '{"w":[1]}', "24h"]
    assert rows[1]["cells"] == ["bare", None, None, None, None]
    assert rows[0]["object"]["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b", [1]),
        ("{.a.b}", [1]),
        ("$.l[0].n", [1]),
        (".l[*].n", [1, 2]),
        (".l[-1].n", [2]),
        (".l[?(@.n>1)].k", ["y"]),
        (".l[?(@.k)].n", [1, 2]),
        ("['a']['b']", [1]),
        (".labels['x.io/y']", ["z"]),
        (r".labels.x\.io/y", ["z"]),
        (".none.b", []),
    ],
)
def test_json_paths(path: str, found: list[Any]) -> None:
    value = {"a": {"b": 1}, "l": [{"n": 1, "k": "x"}, {"n": 2, "k": "y"}], "labels": {"x.io/y": "z"}}
    assert evaluate(parse(path), value) == found


@pytest.mark.parametrize("path", [".a[", ".a[?(", ".a b", "{.a"])
def test_malformed_json_paths_are_refused(path: str) -> None:
    with pytest.raises(JsonPathError):
        parse(path)
