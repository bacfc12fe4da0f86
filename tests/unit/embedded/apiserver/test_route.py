"""Paths and methods to request attributes."""

import pytest

from kobune.embedded.apiserver.http.message import Peer, Request
from kobune.embedded.apiserver.rest.route import RequestInfo, resolve


def info(method: str, target: str) -> RequestInfo:
    return resolve(Request(method, target, [], b"", Peer()))


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/namespaces/n/pods", ("list", "", "v1", "n", "pods", "", "")),
        ("GET", "/api/v1/pods?watch=1", ("watch", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/namespaces/n/pods/p?watch=true", ("get", "", "v1", "n", "pods", "", "p")),
        ("GET", "/api/v1/watch/namespaces/n/pods", ("watch", "", "v1", "n", "pods", "", "")),
        ("POST", "/apis/apps/v1/namespaces/n/deployments", ("create", "apps", "v1", "n", "deployments", "", "")),
        ("PUT", "/api/v1/namespaces/n", ("update", "", "v1", "n", "namespaces", "", "n")),
        ("PUT", "/api/v1/namespaces/n/finalize", ("update", "", "v1", "n", "namespaces", "finalize", "n")),
        ("PATCH", "/api/v1/namespaces/n/pods/p/status", ("patch", "", "v1", "n", "pods", "status", "p")),
        ("DELETE", "/api/v1/nodes/x", ("delete", "", "v1", "", "nodes", "", "x")),
        ("DELETE", "/api/v1/namespaces/n/pods", ("deletecollection", "", "v1", "n", "pods", "", "")),
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "", "namespaces", "", "")),
        (
            "GET",
            "/api/v1/namespaces/n/pods?fieldSelector=metadata.name%3Dp&watch=1",
            ("watch", "", "v1", "n", "pods", "", "p"),
        ),
    ],
)
def test_resource_requests(method: str, target: str, expected: tuple[str, ...]) -> None:
    found = info(method, target)
    assert found.is_resource
    assert (
        found.verb,
        found.group,
        found.version,
        found.namespace,
        found.resource,
        found.subresource,
        found.name,
    ) == expected


@pytest.mark.parametrize("target", ["/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/healthz", "/x/y"])
def test_everything_else_is_a_path(target: str) -> None:
    found = info("GET", target)
    assert not found.is_resource
    assert found.verb == "get"


def test_the_rest_of_a_proxy_path_is_kept() -> None:
    assert info("GET", "/api/v1/nodes/n/proxy/stats/summary").rest == ("stats", "summary")
