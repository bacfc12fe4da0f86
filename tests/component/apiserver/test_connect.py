"""Who may open a stream, and for how long: hooks and policies on CONNECT, streams that end with their right."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kobune.embedded.apiserver.rest import guard
from support.apiserver import api_server
from support.other_servers import Api, pod_on_node, tls_server

POD = "/api/v1/namespaces/default/pods/p"
HOOKS = "/apis/admissionregistration.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io"
Decide = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with api_server(tmp_path) as server, aiohttp.ClientSession() as session:
        yield Api(server, session)


async def echo(request: web.Request) -> web.StreamResponse:
    """A kubelet: exec echoes, a log never ends."""
    if request.path.startswith("/containerLogs"):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(0.1)
                await response.write(b"more\n")
        return response
    socket = web.WebSocketResponse(protocols=["v5.channel.k8s.io"])
    await socket.prepare(request)
    await socket.send_bytes(b"\x01" + request.query_string.encode())
    async for message in socket:
        await socket.send_bytes(message.data)
    return socket


@contextlib.asynccontextmanager
async def webhook(api: Api, kind: str, resources: list[str], decide: Decide) -> AsyncIterator[list[dict[str, Any]]]:
    """A registered webhook for CONNECT and CREATE; gives the requests that it gets."""
    seen: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        review = await request.json()
        seen.append(review["request"])
        verdict = {"uid": review["request"]["uid"], **decide(review["request"])}
        return web.json_response({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": verdict})

    async with tls_server(api.pki, None, answer, []) as port:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT", "CREATE"], "resources": resources}
        bundle = base64.b64encode(api.pki.ca_pem).decode()
        hook = {
            "name": "streams.example.com",
            "rules": [rule],
            "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": bundle},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "streams"},
            "webhooks": [hook],
        }
        await api.create(f"{HOOKS}/{kind.lower()}s", configuration)
        yield seen


async def test_a_webhook_sees_what_is_to_be_executed_and_may_refuse(api: Api) -> None:
    def decide(request: dict[str, Any]) -> dict[str, Any]:
        allowed = "rm" not in (request["object"].get("command") or ())
        return {"allowed": allowed, "status": {"code": 403, "message": "no removals"}}

    async with (
        tls_server(api.pki, api.pki.ca_file, echo, []) as port,
        webhook(api, "ValidatingWebhookConfiguration", ["pods/exec"], decide) as seen,
    ):
        await pod_on_node(api, port)
        status, answer = await api.call("GET", f"{POD}/exec?command=rm&command=-r&container=main&stdin=1&tty=false")
        assert (status, answer["message"]) == (
            403,
            'admission webhook "streams.example.com" denied the request: no removals',
        )
        url = f"{api.server.url}{POD}/exec?command=ls&stdout=true"
        async with api.session.ws_connect(url, protocols=["v5.channel.k8s.io"], headers=api.headers, ssl=api.tls) as it:
            assert await it.receive_bytes(timeout=5) == b"\x01command=ls&output=1"
        (await api.call("GET", f"{POD}/portforward?ports=1"))
    request, allowed = seen
    assert request["operation"] == "CONNECT"
    kind = {"group": "", "version": "v1", "kind": "PodExecOptions"}
    assert (request["kind"], request["requestKind"]) == (kind, kind)
    assert request["resource"] == {"group": "", "version": "v1", "resource": "pods"}
    assert (request["subResource"], request["name"], request["namespace"]) == ("exec", "p", "default")
    assert request["object"] == {
        "kind": "PodExecOptions",
        "apiVersion": "v1",
        "stdin": True,
        "container": "main",
        "command": ["rm", "-r"],
    }
    assert (request["oldObject"], request["options"], request["dryRun"]) == (None, None, False)
    assert request["userInfo"]["username"] == "kobune-admin"
    assert allowed["object"]["stdout"] is True


async def test_what_a_mutating_webhook_makes_of_a_command_is_executed(api: Api) -> None:
    patch = json.dumps([{"op": "replace", "path": "/command", "value": ["nice", "ls"]}]).encode()
    verdict = {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    async with (
        tls_server(api.pki, api.pki.ca_file, echo, []) as port,
        webhook(api, "MutatingWebhookConfiguration", ["pods/*"], lambda request: verdict),
    ):
        await pod_on_node(api, port)
        url = f"{api.server.url}{POD}/exec?command=ls&stderr=1"
        async with api.session.ws_connect(url, protocols=["v5.channel.k8s.io"], headers=api.headers, ssl=api.tls) as it:
            assert await it.receive_bytes(timeout=5) == b"\x01command=nice&command=ls&error=1"


async def test_a_policy_decides_on_streams(api: Api) -> None:
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CONNECT"],
        "resources": ["pods/exec", "pods/proxy"],
    }
    expression = "request.kind.kind == 'PodExecOptions' ? object.?tty.orValue(false) == false : object.path == '/ok'"
    group = {"apiVersion": "admissionregistration.k8s.io/v1"}
    spec: dict[str, Any] = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, "message": "no terminals"}],
    }
    policy = group | {"kind": "ValidatingAdmissionPolicy", "metadata": {"name": "streams"}, "spec": spec}
    await api.create(f"{HOOKS}/validatingadmissionpolicies", policy)
    spec = {"policyName": "streams", "validationActions": ["Deny"]}
    binding = group | {"kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "streams"}, "spec": spec}
    await api.create(f"{HOOKS}/validatingadmissionpolicybindings", binding)
    async with tls_server(api.pki, api.pki.ca_file, echo, []) as port:
        await pod_on_node(api, port)
        status, answer = await api.call("GET", f"{POD}/exec?command=sh&tty=true")
        assert (status, answer["message"]) == (
            422,
            "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'streams' with binding 'streams' denied request: no"
            " terminals",
        )
        assert (await api.call("GET", f"{POD}/proxy/other"))[0] == 422
        assert (await api.call("GET", f"{POD}/proxy/ok"))[0] == 400  # admitted; the pod has no address


async def test_an_eviction_is_shown_to_webhooks(api: Api) -> None:
    verdict = {"allowed": False, "status": {"code": 429, "message": "it is being moved", "reason": "TooManyRequests"}}
    async with webhook(api, "ValidatingWebhookConfiguration", ["pods/eviction"], lambda request: verdict) as seen:
        await pod_on_node(api, 1)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": "default"}}
        status, answer = await api.call("POST", f"{POD}/eviction?dryRun=All", eviction)
    assert (status, answer["reason"]) == (429, "TooManyRequests")
    assert seen[0]["kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert (seen[0]["operation"], seen[0]["subResource"], seen[0]["dryRun"]) == ("CREATE", "eviction", True)
    assert (await api.call("GET", POD))[0] == 200


async def test_a_webhook_of_scale_sees_the_scale(api: Api) -> None:
    def decide(request: dict[str, Any]) -> dict[str, Any]:
        return {"allowed": False, "status": {"code": 403, "message": "enough"}}

    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    path = "/apis/apps/v1/namespaces/default/deployments"
    await api.create(path, deployment)
    async with webhook(api, "ValidatingWebhookConfiguration", ["deployments/scale"], decide) as seen:
        _, hooks = await api.call("GET", f"{HOOKS}/validatingwebhookconfigurations/streams")
        hooks["webhooks"][0]["rules"][0] |= {"apiGroups": ["apps"], "operations": ["UPDATE"]}
        assert (await api.call("PUT", f"{HOOKS}/validatingwebhookconfigurations/streams", hooks))[0] == 200
        _, scale = await api.call("GET", f"{path}/d/scale")
        scale["spec"]["replicas"] = 5
        status, answer = await api.call("PUT", f"{path}/d/scale", scale)
        assert (status, answer["message"][-6:]) == (403, "enough")
        _, whole = await api.call("GET", f"{path}/d")
        whole["spec"]["replicas"] = 2
        assert (await api.call("PUT", f"{path}/d", whole))[0] == 200
    assert len(seen) == 1
    assert seen[0]["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert (seen[0]["object"]["kind"], seen[0]["object"]["spec"]["replicas"]) == ("Scale", 5)
    assert seen[0]["oldObject"]["spec"]["replicas"] == 1


@pytest.mark.parametrize("what", ["account", "binding"])
@pytest.mark.parametrize("stream", ["exec", "log"])
async def test_a_stream_ends_with_its_token_or_its_right(
    api: Api, monkeypatch: pytest.MonkeyPatch, what: str, stream: str
) -> None:
    monkeypatch.setattr(guard, "CHECK_EVERY_S", 0.1)
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    bindings = f"/apis/{RBAC}/v1/namespaces/default/rolebindings"
    await api.create(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = (await api.create(f"{accounts}/robot/token", request))["status"]["token"]
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    }
    await api.create(bindings, binding)
    headers = {"Authorization": f"Bearer {token}"}
    gone = f"{accounts}/robot" if what == "account" else f"{bindings}/robot"
    async with tls_server(api.pki, api.pki.ca_file, echo, []) as port, asyncio.timeout(20):
        await pod_on_node(api, port)
        if stream == "exec":
            url = f"{api.server.url}{POD}/exec?command=sh"
            async with api.session.ws_connect(url, protocols=["v5.channel.k8s.io"], headers=headers, ssl=api.tls) as it:
                await it.receive_bytes()
                await asyncio.sleep(0.3)
                await it.send_bytes(b"\x00still here")
                assert await it.receive_bytes() == b"\x00still here"
                assert (await api.call("DELETE", gone))[0] == 200
                message = await it.receive()
                assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        else:
            url = f"{api.server.url}{POD}/log?follow=true"
            async with api.session.get(url, headers=headers, ssl=api.tls) as response:
                assert await response.content.readline() == b"one\n"
                await asyncio.sleep(0.3)
                assert not response.content.at_eof()
                assert (await api.call("DELETE", gone))[0] == 200
                with pytest.raises((aiohttp.ClientError, ConnectionError)):
                    await response.content.read()
