"""What must hold whoever asks: no way in without credentials, rights that end, private files, limits of size."""

import asyncio
import contextlib
import io
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kobune.embedded.apiserver.pki import issue_client_certificate
from kobune.embedded.apiserver.rest import watch as watch_module
from kobune.embedded.apiserver.schema.builtin import resources
from support.apiserver import Running, api_server

RBAC = "rbac.authorization.k8s.io"
BODY_LIMIT = 3 << 20
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
MAPS = "/api/v1/namespaces/default/configmaps"


class Api:
    """Requests with credentials of choice: a token, a client certificate, or none."""

    def __init__(self, server: Running, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self.tls = ssl.create_default_context(cafile=str(server.ca_file))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        token = self.server.token if token is None else token
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        data = io.BytesIO(body) if isinstance(body, bytes) else None
        if data is not None:
            sent["Content-Type"] = "application/json"
        async with self.session.request(
            method,
            self.server.url + path,
            json=None if data is not None else body,
            data=data,
            headers=sent,
            ssl=tls or self.tls,
        ) as response:
            answer = await response.read()
            return response.status, json.loads(answer) if response.content_type == "application/json" else answer

    async def created(self, path: str, body: Any) -> Any:
        status, answer = await self.call("POST", path, body)
        assert status == 201, answer
        return answer

    async def account_token(self, name: str, bound: dict[str, str] | None = None) -> str:
        request: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        if bound:
            request["spec"]["boundObjectRef"] = bound
        answer = await self.created(f"{ACCOUNTS}/{name}/token", request)
        return str(answer["status"]["token"])

    @contextlib.asynccontextmanager
    async def watching(self, path: str, token: str) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.get(f"{self.server.url}{path}?watch=1", headers=headers, ssl=self.tls) as response:
            assert response.status == 200
            yield response


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with api_server(tmp_path) as server, aiohttp.ClientSession(connector=connector) as session:
        yield Api(server, session)


async def viewer(api: Api, name: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    await api.created(ACCOUNTS, account)
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    }
    await api.created(f"/apis/{RBAC}/v1/namespaces/default/rolebindings", binding)


async def test_without_credentials_nothing_but_health_and_version_answers(api: Api) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert (await api.call("GET", path, token=""))[0] == 200
    paths = {
        "/",
        "/api",
        "/apis",
        "/api/v1",
        "/openapi/v2",
        "/openapi/v3",
        "/metrics",
        "/debug/pprof",
        "/healthz/../api",
    }
    paths |= {"/.well-known/openid-configuration", "/openid/v1/jwks", "//api/v1/secrets", "/api//v1/secrets"}
    for info in resources():
        base = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
        place = f"{base}/namespaces/default" if info.namespaced else base
        paths |= {base, f"{base}/{info.plural}", f"{place}/{info.plural}", f"{place}/{info.plural}/x"}
        paths |= {f"{place}/{info.plural}/x/{part.name}" for part in info.subresources}
    refused = {}
    for path in sorted(paths):
        for method in ("GET", "POST", "DELETE"):
            refused[method, path] = (await api.call(method, path, None if method == "GET" else {}, token=""))[0]
    assert {key: status for key, status in refused.items() if status not in (401, 403)} == {}


async def test_impersonation_needs_credentials_too(api: Api) -> None:
    headers = {"Impersonate-User": "kobune-admin", "Impersonate-Group": "system:masters"}
    assert (await api.call("GET", MAPS, token="", headers=headers))[0] == 403
    front = {"X-Remote-User": "kobune-admin", "X-Remote-Group": "system:masters"}
    assert (await api.call("GET", MAPS, token="", headers=front))[0] == 403


@pytest.mark.parametrize("what", ["account", "pod", "binding"])
async def test_a_watch_ends_with_its_token_or_its_right(api: Api, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(watch_module, "_AUTHORIZE_EVERY_S", 0.1)
    await viewer(api, "robot")
    spec = {"serviceAccountName": "robot", "containers": [{"name": "main", "image": "x"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    await api.created("/api/v1/namespaces/default/pods", pod)
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "p"} if what == "pod" else None
    token = await api.account_token("robot", bound)
    gone = {
        "account": f"{ACCOUNTS}/robot",
        "pod": "/api/v1/namespaces/default/pods/p?gracePeriodSeconds=0",
        "binding": f"/apis/{RBAC}/v1/namespaces/default/rolebindings/robot",
    }[what]
    async with api.watching(MAPS, token) as response, asyncio.timeout(10):
        await asyncio.sleep(0.3)
        await api.created(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seen"}})
        while b'"seen"' not in await response.content.readline():
            pass
        assert (await api.call("DELETE", gone))[0] == 200
        assert b'"ERROR"' not in await response.content.read()
    assert (await api.call("GET", MAPS, token=token))[0] == (403 if what == "binding" else 401)


async def test_keys_and_tokens_are_private(api: Api) -> None:
    data = api.server.kubeconfig.parent
    assert data.joinpath("pki").stat().st_mode & 0o077 == 0
    secret = [path for path in data.rglob("*") if path.suffix in (".key", ".token") or path.name == "kubeconfig"]
    assert len(secret) >= 5
    assert {
        path.name: oct(path.stat().st_mode & 0o777) for path in secret if path.stat().st_mode & 0o777 != 0o600
    } == {}
    for path in data.rglob("*"):
        if path.is_file() and path not in secret:
            content = path.read_bytes()
            assert b"PRIVATE KEY" not in content, path
            assert api.server.token.encode() not in content, path


async def test_sizes_are_limited(api: Api) -> None:
    def config_map(size: int) -> bytes:
        head = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"x":"'
        return head + b"x" * (size - len(head) - 2) + b'"}'

    assert (await api.call("POST", MAPS, config_map(BODY_LIMIT + 1)))[0] == 413
    assert (await api.call("POST", MAPS, config_map(BODY_LIMIT)))[0] == 201
    assert (await api.call("GET", f"{MAPS}?x={'y' * (1 << 20)}"))[0] in (414, 431)
    assert (await api.call("GET", MAPS, headers={"X-Long": "y" * (2 << 20)}))[0] == 431
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    for body in (deep, b"[" * 1_000_000, b'{"apiVersion":"v1","kind":"ConfigMap","metadata":' + deep + b"}"):
        assert (await api.call("POST", MAPS, body))[0] == 400
    assert (await api.call("GET", "/healthz"))[0] == 200


async def test_a_node_gets_its_pods_secrets_and_no_others(api: Api) -> None:
    """The whole way: client certificate, authorizer, admission."""
    certificate, key = issue_client_certificate(api.server.kubeconfig.parent, "system:node:n1", ["system:nodes"])
    files = api.server.kubeconfig.parent / "node.crt", api.server.kubeconfig.parent / "node.key"
    for path, content in zip(files, (certificate, key), strict=True):
        path.write_bytes(content)
    node = ssl.create_default_context(cafile=str(api.server.ca_file))
    node.load_cert_chain(*files)

    async def as_node(method: str, path: str, body: Any = None) -> int:
        return (await api.call(method, path, body, token="", tls=node))[0]

    secrets = "/api/v1/namespaces/default/secrets"
    for name in ("mine", "theirs"):
        await api.created(secrets, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}})
    await api.created(ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    for name, where, secret in (("a", "n1", "mine"), ("b", "n2", "theirs")):
        volumes = [{"name": "s", "secret": {"secretName": secret}}]
        spec = {"nodeName": where, "containers": [{"name": "main", "image": "x"}], "volumes": volumes}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        await api.created("/api/v1/namespaces/default/pods", pod)
    assert await as_node("GET", f"{secrets}/mine") == 200
    assert await as_node("GET", f"{secrets}/theirs") == 403
    assert await as_node("GET", secrets) == 403
    assert await as_node("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1") == 200
    assert await as_node("GET", "/api/v1/pods") == 403
    own = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {"kubernetes.io/os": "linux"}}}
    assert await as_node("POST", "/api/v1/nodes", own) == 201
    other = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"}}
    assert await as_node("POST", "/api/v1/nodes", other) == 403
    assert await as_node("DELETE", "/api/v1/namespaces/default/pods/b") == 403
    assert await as_node("DELETE", "/api/v1/namespaces/default/pods/a?gracePeriodSeconds=0") == 200
    assert await as_node("GET", f"{secrets}/mine") == 403


async def test_a_store_of_before_the_node_authorizer_loses_its_grant_to_all_nodes(tmp_path: Path) -> None:
    path = f"/apis/{RBAC}/v1/clusterrolebindings/system:node"
    group = {"apiGroup": RBAC, "kind": "Group", "name": "system:nodes"}
    own = {"apiGroup": RBAC, "kind": "User", "name": "somebody"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        async with api_server(tmp_path, in_memory=False) as server:
            api = Api(server, session)
            _, binding = await api.call("GET", path)
            assert "subjects" not in binding
            assert (await api.call("PUT", path, binding | {"subjects": [group, own]}))[0] == 200
        async with api_server(tmp_path, in_memory=False) as server:
            assert (await Api(server, session).call("GET", path))[1]["subjects"] == [own]


async def test_roles_of_an_older_store_get_what_they_lack(tmp_path: Path) -> None:
    path = f"/apis/{RBAC}/v1/clusterroles"
    manager, proxier = f"{path}/system:kube-controller-manager", f"{path}/system:node-proxier"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        async with api_server(tmp_path, in_memory=False) as server:
            api = Api(server, session)
            _, role = await api.call("GET", manager)
            everything = role["rules"]
            own = {"apiGroups": ["example.com"], "resources": ["boats"], "verbs": ["create"]}
            role["rules"] = [*(rule for rule in everything if "sign" not in rule["verbs"]), own]
            assert (await api.call("PUT", manager, role))[0] == 200
            _, frozen = await api.call("GET", proxier)
            frozen["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false"
            frozen["rules"] = []
            assert (await api.call("PUT", proxier, frozen))[0] == 200
        async with api_server(tmp_path, in_memory=False) as server:
            api = Api(server, session)
            _, role = await api.call("GET", manager)
            added = [rule for rule in role["rules"] if rule["verbs"] == ["sign"]]
            assert {name for rule in added for name in rule["resourceNames"]} == {
                "kubernetes.io/kube-apiserver-client",
                "kubernetes.io/kube-apiserver-client-kubelet",
                "kubernetes.io/kubelet-serving",
            }
            assert own in role["rules"]
            assert not (await api.call("GET", proxier))[1]["rules"]
