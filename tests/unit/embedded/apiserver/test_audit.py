"""The audit log: which requests are told, and what of them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kobune.embedded.apiserver.audit import MAX_BYTES, AuditLog, entry
from kobune.embedded.apiserver.auth.authenticator import Authenticator
from kobune.embedded.apiserver.http.message import AnyResponse, Peer, Request, Response
from kobune.embedded.apiserver.rest.route import resolve
from kobune.embedded.apiserver.user import User

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PODS = "/api/v1/namespaces/default/pods"


def request(method: str, target: str, body: Any = None, **headers: str) -> Request:
    listed = [("authorization", "Bearer t"), ("user-agent", "kubectl/v1"), *headers.items()]
    return Request(method, target, listed, b"" if body is None else json.dumps(body).encode(), Peer("192.0.2.1"))


def told(method: str, target: str, body: Any = None) -> dict[str, Any]:
    made = request(method, target, body)
    return entry(made, resolve(made), {"username": "eve"}, Response(201), NOW, NOW + timedelta(milliseconds=3))


def test_a_line_says_who_did_what_to_which_object_and_how_it_went() -> None:
    line = told("POST", PODS + "?dryRun=All", {"metadata": {"name": "p"}})
    assert line.pop("auditID")
    assert line == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Request",
        "stage": "ResponseComplete",
        "requestURI": PODS + "?dryRun=All",
        "verb": "create",
        "user": {"username": "eve"},
        "sourceIPs": ["192.0.2.1"],
        "userAgent": "kubectl/v1",
        "objectRef": {"resource": "pods", "namespace": "default", "name": "p", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "requestObject": {"metadata": {"name": "p"}},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "stageTimestamp": "2026-01-01T00:00:00.003000Z",
    }


def test_a_status_patch_names_its_subresource() -> None:
    line = told("PATCH", PODS + "/p/status", {"status": {}})
    assert (line["verb"], line["objectRef"]["subresource"], line["objectRef"]["name"]) == ("patch", "status", "p")


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/namespaces/default/secrets",
        "/api/v1/namespaces/default/serviceaccounts/a/token",
        "/apis/authentication.k8s.io/v1/tokenreviews",
    ],
)
def test_what_holds_secrets_is_told_without_its_content(target: str) -> None:
    line = told("POST", target, {"data": {"password": "aHVudGVyMg=="}})
    assert line["level"] == "Metadata"
    assert "aHVudGVyMg" not in json.dumps(line)


class Application:
    async def __call__(self, request: Request) -> AnyResponse:
        return Response(200)


class NoTokens:
    def verify(self, token: str) -> User | None:
        return None


def audited(path: Path) -> AuditLog:
    authenticator = Authenticator({"t": User("eve", ("g",))}, NoTokens(), None)  # type: ignore[arg-type]
    return AuditLog(Application(), authenticator, path)


async def test_only_requests_that_may_change_something_are_told(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = audited(path)
    for target in (PODS, PODS + "?watch=true", PODS + "/p", "/healthz"):
        await log(request("GET", target))
    assert not path.exists()
    await log(request("DELETE", PODS + "/p"))
    (line,) = [json.loads(text) for text in path.read_text().splitlines()]
    assert (line["verb"], line["user"]["username"]) == ("delete", "eve")
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_large_log_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    await audited(path)(request("DELETE", PODS + "/p"))
    assert len(path.read_text().splitlines()) == 1
    assert (tmp_path / "audit.log.1").stat().st_size == MAX_BYTES + 1


async def test_a_log_that_cannot_be_written_fails_no_request(tmp_path: Path) -> None:
    answer = await audited(tmp_path / "missing" / "audit.log")(request("DELETE", PODS + "/p"))
    assert isinstance(answer, Response)
    assert answer.status == 200
