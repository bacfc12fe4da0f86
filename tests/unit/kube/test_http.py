"""The HTTP client against a server that misbehaves as told."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kobune.kube.client.config import ClientConfig, ExecPlugin
from kobune.kube.client.core import CONFIG_MAPS, PODS
from kobune.kube.client.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnexpectedStatus,
)
from kobune.kube.client.http import HttpClient
from kobune.kube.client.types import Patch, Preconditions, Propagation, WatchEventType

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers every request with `answer`; remembers them."""

    def __init__(self) -> None:
        self.answer: Answer = self.ok
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.port = 0

    async def ok(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {"name": "x", "resourceVersion": "1"}})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, request.path_qs, dict(request.headers), body))
        return await self.answer(request)

    def config(self, **more: Any) -> ClientConfig:
        return ClientConfig(server=f"http://127.0.0.1:{self.port}", **more)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[HttpClient]:
    client = HttpClient(server.config(token="secret"), user_agent="test/1", timeout_s=2)
    yield client
    await client.close()


def status(code: int, reason: str, message: str = "no", **details: Any) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
        return web.json_response(body, status=code)

    return answer


async def test_requests_are_what_the_api_expects(server: Server, client: HttpClient) -> None:
    await client.create(CONFIG_MAPS, {"metadata": {"name": "x"}}, "ns")
    await client.patch(PODS, "p", Patch.merge({"a": 1}), "ns", subresource="status")
    await client.apply(CONFIG_MAPS, {"metadata": {"name": "x", "namespace": "ns"}}, field_manager="me", force=True)
    await client.delete(
        PODS, "p", "ns", preconditions=Preconditions("u", "7"), grace_period_s=0, propagation=Propagation.FOREGROUND
    )
    create, patch, apply, delete = server.requests
    assert create[:2] == ("POST", "/api/v1/namespaces/ns/configmaps")
    assert json.loads(create[3]) == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    assert create[2]["Content-Type"] == "application/json"
    assert create[2]["Authorization"] == "Bearer secret"
    assert create[2]["User-Agent"] == "test/1"
    assert patch[:2] == ("PATCH", "/api/v1/namespaces/ns/pods/p/status")
    assert patch[2]["Content-Type"] == "application/merge-patch+json"
    assert apply[:2] == ("PATCH", "/api/v1/namespaces/ns/configmaps/x?fieldManager=me&force=true")
    assert apply[2]["Content-Type"] == "application/apply-patch+yaml"
    assert delete[:2] == ("DELETE", "/api/v1/namespaces/ns/pods/p")
    assert json.loads(delete[3]) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": "u", "resourceVersion": "7"},
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
    }


async def test_selectors_are_encoded(server: Server, client: HttpClient) -> None:
    await client.list(PODS, "ns", label_selector="a in (b,c)", field_selector="spec.nodeName=n", limit=5)
    query = "labelSelector=a+in+%28b%2Cc%29&fieldSelector=spec.nodeName%3Dn&limit=5"
    assert server.requests[0][1] == f"/api/v1/namespaces/ns/pods?{query}"


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (422, "Invalid", Invalid),
        (400, "BadRequest", Invalid),
        (403, "Forbidden", Forbidden),
        (401, "Unauthorized", Unauthorized),
        (410, "Expired", Expired),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", Unavailable),
        (504, "Timeout", Unavailable),
        (415, "UnsupportedMediaType", UnexpectedStatus),
    ],
)
async def test_the_reason_decides_the_error(
    server: Server, client: HttpClient, code: int, reason: str, error: type[ApiError]
) -> None:
    server.answer = status(code, reason, "what is wrong", causes=[{"field": "spec.x", "message": "bad"}])
    with pytest.raises(error, match="what is wrong") as caught:
        await client.get(PODS, "p", "ns")
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert caught.value.causes[0].field == "spec.x"


async def test_a_proxy_without_status_gives_the_error_of_its_code(server: Server, client: HttpClient) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text="<html>try later</html>", headers={"Retry-After": "7"})

    server.answer = answer
    with pytest.raises(Unavailable, match=r"GET /api/v1/namespaces/ns/pods/p: HTTP 503: .*try later") as caught:
        await client.get(PODS, "p", "ns")
    assert caught.value.retry_after_s == 7


async def test_no_server_and_no_answer_are_unavailable(server: Server) -> None:
    nobody = HttpClient(ClientConfig(server="http://127.0.0.1:1"), timeout_s=1)
    with pytest.raises(Unavailable) as caught:
        await nobody.get(PODS, "p", "ns")
    assert caught.value.reason == "ConnectionFailed"
    await nobody.close()

    async def never(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    server.answer = never
    impatient = HttpClient(server.config(), timeout_s=0.1)
    with pytest.raises(Unavailable, match=r"no answer within 0\.1 s") as caught:
        await impatient.get(PODS, "p", "ns")
    assert caught.value.reason == "Timeout"
    await impatient.close()


async def test_one_object_that_does_not_fit_hides_no_others(
    server: Server, client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        good = {"metadata": {"name": "good"}, "data": {"a": "b"}}
        bad = {"metadata": {"name": "bad", "namespace": "ns"}, "data": 7}
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": [bad, good]})

    server.answer = answer
    page = await client.list(CONFIG_MAPS)
    assert [item.metadata.name for item in page.items] == ["good"]
    assert page.resource_version == "9"
    assert "ConfigMap ns/bad is ignored" in caplog.text


async def test_null_items_are_an_empty_list(server: Server, client: HttpClient) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": None})

    server.answer = answer
    assert (await client.list(CONFIG_MAPS)).items == []


async def test_a_null_is_an_absent_member(server: Server, client: HttpClient) -> None:
    document = {"metadata": {"name": "x", "labels": None, "finalizers": None}, "data": None, "binaryData": {"a": "b"}}

    async def one(_request: web.Request) -> web.StreamResponse:
        return web.json_response(document)

    async def many(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {}, "items": [document, {"metadata": {"name": "y"}}]})

    server.answer = one
    found = await client.get(CONFIG_MAPS, "x", "ns")
    assert (found.data, found.metadata.labels, found.metadata.finalizers, found.binary_data) == ({}, {}, [], {"a": "b"})
    server.answer = many
    assert [item.metadata.name for item in (await client.list(CONFIG_MAPS)).items] == ["x", "y"]


def stream(*lines: bytes, pause_s: float = 0.0) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
            await asyncio.sleep(pause_s)
        await response.write_eof()
        return response

    return answer


def event(event_type: str, **obj: Any) -> bytes:
    return json.dumps({"type": event_type, "object": obj}).encode() + b"\n"


async def watch(client: HttpClient) -> list[tuple[WatchEventType, str, str]]:
    found = []
    async for item in client.watch(CONFIG_MAPS, resource_version="1", timeout_s=2):
        found.append((item.type, item.object.metadata.name if item.object else "", item.resource_version))
    return found


async def test_watch_events_come_in_any_chunks(server: Server, client: HttpClient) -> None:
    added = event("ADDED", metadata={"name": "x", "resourceVersion": "2"}, data={"a": "y" * 300_000})
    bookmark = event("BOOKMARK", kind="ConfigMap", metadata={"resourceVersion": "5"})
    server.answer = stream(added[:10], added[10:200_000], added[200_000:] + bookmark, b"\n", pause_s=0.01)
    assert await watch(client) == [(WatchEventType.ADDED, "x", "2"), (WatchEventType.BOOKMARK, "", "5")]
    assert "resourceVersion=1" in server.requests[0][1]
    assert "allowWatchBookmarks=true" in server.requests[0][1]


async def test_a_watch_error_is_raised(server: Server, client: HttpClient) -> None:
    server.answer = stream(event("ERROR", kind="Status", code=410, reason="Expired", message="too old"))
    with pytest.raises(Expired, match="too old"):
        await watch(client)
    server.answer = status(410, "Expired", "too old as well")
    with pytest.raises(Expired, match="as well"):
        await watch(client)


@pytest.mark.parametrize(
    "line", [b"no json\n", b'{"type": "NEW", "object": {}}\n', b'{"type": "ADDED", "object": 7}\n']
)
async def test_nonsense_in_a_watch_is_an_api_error(server: Server, client: HttpClient, line: bytes) -> None:
    server.answer = stream(line)
    with pytest.raises(UnexpectedStatus, match="watch of configmaps"):
        await watch(client)


async def test_a_watch_that_breaks_is_unavailable(server: Server, client: HttpClient) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(event("ADDED", metadata={"name": "x", "resourceVersion": "2"}))
        assert request.transport is not None
        request.transport.abort()
        return response

    server.answer = broken
    with pytest.raises(Unavailable):
        await watch(client)


async def test_an_event_without_an_end_is_refused(
    server: Server, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kobune.kube.client.http.WATCH_LINE_LIMIT", 1000)
    server.answer = stream(b"x" * 2000)
    with pytest.raises(UnexpectedStatus, match="longer than 1000 bytes"):
        await watch(client)


async def test_warnings_are_logged_once(server: Server, client: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        body = {"metadata": {"name": "x"}}
        return web.json_response(body, headers={"Warning": '299 - "this is old"'})

    server.answer = answer
    with caplog.at_level(logging.WARNING):
        await client.get(PODS, "p", "ns")
        await client.get(PODS, "p", "ns")
    assert caplog.text.count("this is old") == 1


async def test_a_changed_token_file_is_read_again(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    client = HttpClient(server.config(token_file=token))
    await client.get(PODS, "p", "ns")

    async def refuse_first(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer first":
            token.write_text("second")
            return await status(401, "Unauthorized")(request)
        return await server.ok(request)

    server.answer = refuse_first
    await client.get(PODS, "p", "ns")
    assert [request[2]["Authorization"] for request in server.requests] == [
        "Bearer first",
        "Bearer first",
        "Bearer second",
    ]
    await client.close()


async def test_an_exec_plugin_gives_the_token_until_it_is_refused(server: Server, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        '#!/bin/sh\necho x >> "$COUNT"\n'
        'echo "{\\"status\\":{\\"token\\":\\"token-$(wc -l < "$COUNT" | tr -d " ")\\"}}"\n'
    )
    plugin.chmod(0o755)
    count = tmp_path / "count"
    config = ExecPlugin("client.authentication.k8s.io/v1", str(plugin), env=(("COUNT", str(count)),))
    client = HttpClient(server.config(exec_plugin=config))
    await client.get(PODS, "p", "ns")
    await client.get(PODS, "p", "ns")

    async def refuse_first(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer token-1":
            return await status(401, "Unauthorized")(request)
        return await server.ok(request)

    server.answer = refuse_first
    await client.get(PODS, "p", "ns")
    assert [request[2]["Authorization"][7:] for request in server.requests] == ["token-1"] * 3 + ["token-2"]
    await client.close()


async def test_websockets_carry_protocol_and_credentials(server: Server, client: HttpClient) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("plain.kubevirt.io",))
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
            await socket.close()
        return socket

    server.answer = echo
    socket = await client.connect_websocket("/console", protocols=["plain.kubevirt.io"], query=[("a", "1"), ("a", "2")])
    await socket.send_bytes(b"hello")
    assert await socket.receive_bytes() == b"hello"
    assert socket.protocol == "plain.kubevirt.io"
    await socket.close()
    assert server.requests[0][1] == "/console?a=1&a=2"
    assert server.requests[0][2]["Authorization"] == "Bearer secret"


async def test_a_refused_websocket_says_why(server: Server, client: HttpClient) -> None:
    server.answer = status(409, "Conflict", "the VMI is not running")
    with pytest.raises(Conflict, match="the VMI is not running"):
        await client.connect_websocket("/console")
