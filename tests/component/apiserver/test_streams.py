"""Requests that another server answers: kubelets, aggregated APIs, webhooks. The other server is a real one."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from kobune.embedded.apiserver.pki import Pki
from support.apiserver import api_server
from support.other_servers import Api, pod_on_node, tls_server


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with api_server(tmp_path) as server, aiohttp.ClientSession() as session:
        yield Api(server, session)


async def test_logs_are_streamed_from_the_pods_kubelet(api: Api) -> None:
    seen: list[tuple[str, str]] = []
    more = asyncio.Event()

    async def kubelet(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        subject = dict(pair[0] for pair in request.transport.get_extra_info("peercert")["subject"])
        assert subject["commonName"] == "kube-apiserver-kubelet-client"
        assert "Authorization" not in request.headers
        seen.append((request.path, request.query_string))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"one\n")
        await more.wait()
        await response.write(b"two\n")
        return response

    async with tls_server(api.pki, api.pki.ca_file, kubelet, []) as port:
        await pod_on_node(api, port)
        url = api.server.url + "/api/v1/namespaces/default/pods/p/log?follow=true&tailLines=5"
        async with api.session.get(url, headers=api.headers, ssl=api.tls) as response, asyncio.timeout(5):
            assert await response.content.readline() == b"one\n"
            more.set()
            assert await response.content.readline() == b"two\n"
            assert await response.content.read() == b""
    assert seen == [("/containerLogs/default/p/main", "follow=true&tailLines=5")]


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (400, "BadRequest", 'container "main" in pod "p" is waiting to start: ContainerCreating'),
        (404, "NotFound", "pod not found"),
        (500, "InternalError", "the runtime is gone"),
    ],
)
async def test_why_there_is_no_log_is_told_as_a_status(api: Api, code: int, reason: str, message: str) -> None:
    async def kubelet(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=message)

    async with tls_server(api.pki, api.pki.ca_file, kubelet, []) as port:
        await pod_on_node(api, port)
        status, answer = await api.call("GET", "/api/v1/namespaces/default/pods/p/log")
    assert status == code
    assert (answer["kind"], answer["reason"], answer["code"]) == ("Status", reason, code)
    assert answer["message"] == (f"Internal error occurred: {message}" if code == 500 else message)


async def test_exec_is_a_websocket_to_the_kubelet(api: Api) -> None:
    async def kubelet(request: web.Request) -> web.StreamResponse:
        assert request.path == "/exec/default/p/main"
        assert request.query.getall("command") == ["echo", "a b"]
        assert request.query["output"] == "1"
        socket = web.WebSocketResponse(protocols=["v5.channel.k8s.io"])
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(b"\x01" + message.data[1:].upper())
        return socket

    async with tls_server(api.pki, api.pki.ca_file, kubelet, []) as port:
        await pod_on_node(api, port)
        url = api.server.url + "/api/v1/namespaces/default/pods/p/exec?command=echo&command=a%20b&stdout=true"
        async with (
            api.session.ws_connect(url, protocols=["v5.channel.k8s.io"], headers=api.headers, ssl=api.tls) as socket,
            asyncio.timeout(5),
        ):
            assert socket.protocol == "v5.channel.k8s.io"
            for text in (b"hello", b"x" * 300_000):
                await socket.send_bytes(b"\x00" + text)
                assert await socket.receive_bytes() == b"\x01" + text.upper()


async def test_an_unreachable_kubelet_is_told(api: Api) -> None:
    await pod_on_node(api, 1)
    status, answer = await api.call("GET", "/api/v1/namespaces/default/pods/p/log")
    assert status == 500
    assert "connection refused" in answer["message"]


async def test_an_aggregated_api_gets_the_user_and_nothing_secret(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []

    async def extension(request: web.Request) -> web.StreamResponse:
        seen.append(dict(request.headers))
        if request.path.endswith("/v1"):
            return web.json_response({"kind": "APIResourceList", "groupVersion": "x.example.com/v1", "resources": []})
        if request.headers.get("Upgrade"):
            socket = web.WebSocketResponse(protocols=["plain.kubevirt.io"])
            await socket.prepare(request)
            async for message in socket:
                await socket.send_bytes(message.data)
            return socket
        return web.json_response({"kind": "Boat", "path": request.path_qs})

    pki = Pki(tmp_path / "pki")
    pki.prepare([])
    async with (
        tls_server(pki, pki.front_proxy_ca_file, extension, ["api.default.svc"]) as port,
        api_server(tmp_path, service_endpoints={"default/api": f"127.0.0.1:{port}"}) as server,
        aiohttp.ClientSession() as session,
    ):
        api = Api(server, session)
        service = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1.x.example.com"},
            "spec": {
                "group": "x.example.com",
                "version": "v1",
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
                "service": {"namespace": "default", "name": "api"},
                "caBundle": base64.b64encode(pki.ca_pem).decode(),
            },
        }
        await api.create("/apis/apiregistration.k8s.io/v1/apiservices", service)
        path = "/apis/x.example.com/v1/namespaces/default/boats/b%20c?limit=1"
        status, answer = await api.call("GET", path, **{"X-Remote-User": "forged"})
        assert status == 200
        assert answer["path"].endswith("/boats/b%20c?limit=1")
        assert seen[-1]["X-Remote-User"] == "kobune-admin"
        assert "Authorization" not in seen[-1]
        url = server.url + "/apis/x.example.com/v1/namespaces/default/boats/b/console"
        async with (
            session.ws_connect(url, protocols=["plain.kubevirt.io"], headers=api.headers, ssl=api.tls) as socket,
            asyncio.timeout(5),
        ):
            await socket.send_bytes(b"login")
            assert await socket.receive_bytes() == b"login"
        status, listed = await api.call("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.x.example.com")
        async with asyncio.timeout(5):
            while not any(c["status"] == "True" for c in (listed.get("status") or {}).get("conditions", ())):
                await asyncio.sleep(0.05)
                _, listed = await api.call("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.x.example.com")
