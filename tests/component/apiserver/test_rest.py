"""The API over HTTPS, as clients see it: writes, reads, watches, refusals."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kobune.embedded.apiserver.rest import watch as watch_module
from support.apiserver import Running, api_server

ConfigMap = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"


class Api:
    """A plain HTTP client of the server under test."""

    def __init__(self, server: Running, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session
        self._tls = ssl.create_default_context(cafile=str(server.ca_file))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        media: str = "application/json",
    ) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {self.server.token if token is None else token}", **(headers or {})}
        if token == "":
            del sent["Authorization"]
        data = None
        if body is not None:
            sent["Content-Type"] = media
            data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        async with self.session.request(
            method, self.server.url + path, data=data, headers=sent, ssl=self._tls
        ) as response:
            text = await response.read()
            parsed = json.loads(text) if response.content_type == "application/json" else text
            return response.status, parsed

    async def watch(self, path: str) -> AsyncIterator[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.server.token}"}
        async with self.session.get(self.server.url + path, headers=headers, ssl=self._tls) as response:
            async for line in response.content:
                yield json.loads(line)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with api_server(tmp_path) as server, aiohttp.ClientSession() as session:
        yield Api(server, session)


MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, **data: str) -> ConfigMap:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_an_object_lives_from_create_to_delete(api: Api) -> None:
    status, created = await api.call("POST", MAPS, config_map("a", k="1"))
    assert status == 201
    assert created["metadata"]["uid"]
    version = created["metadata"]["resourceVersion"]
    assert (await api.call("POST", MAPS, config_map("a")))[1]["reason"] == "AlreadyExists"
    status, changed = await api.call("PATCH", f"{MAPS}/a", {"data": {"k": "2"}}, media="application/merge-patch+json")
    assert status == 200
    assert changed["metadata"]["resourceVersion"] != version
    status, same = await api.call("PATCH", f"{MAPS}/a", {"data": {"k": "2"}}, media="application/merge-patch+json")
    assert same["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]
    stale = {**created, "data": {"k": "3"}}
    status, conflict = await api.call("PUT", f"{MAPS}/a", stale)
    assert (status, conflict["reason"]) == (409, "Conflict")
    assert (await api.call("DELETE", f"{MAPS}/a"))[1]["status"] == "Success"
    assert (await api.call("GET", f"{MAPS}/a"))[0] == 404


async def test_concurrent_patches_all_count(api: Api) -> None:
    await api.call("POST", MAPS, config_map("many"))
    answers = await asyncio.gather(
        *(
            api.call("PATCH", f"{MAPS}/many", {"data": {f"k{n}": "v"}}, media="application/merge-patch+json")
            for n in range(20)
        )
    )
    done = sum(status == 200 for status, _ in answers)
    _, result = await api.call("GET", f"{MAPS}/many")
    assert len(result["data"]) == done
    assert done >= 8
    assert {status for status, _ in answers} <= {200, 409}


async def test_a_watch_follows_a_list_without_a_gap(api: Api) -> None:
    _, listed = await api.call("GET", MAPS)
    await api.call("POST", MAPS, config_map("before"))
    version = listed["metadata"]["resourceVersion"]
    seen = []

    async def follow() -> None:
        async for event in api.watch(f"{MAPS}?watch=1&resourceVersion={version}"):
            seen.append((event["type"], event["object"]["metadata"]["name"]))
            if event["type"] == "DELETED":
                return

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.1)
    await api.call("POST", MAPS, config_map("after"))
    await api.call("DELETE", f"{MAPS}/before")
    async with asyncio.timeout(5):
        await task
    assert seen == [("ADDED", "before"), ("ADDED", "after"), ("DELETED", "before")]


async def test_another_namespaces_changes_are_not_in_a_resumed_watch(api: Api) -> None:
    _, listed = await api.call("GET", MAPS)
    version = listed["metadata"]["resourceVersion"]
    await api.call("POST", MAPS.replace("default", "kube-public"), config_map("elsewhere"))
    await api.call("POST", MAPS, config_map("here"))
    async with asyncio.timeout(5):
        async for event in api.watch(f"{MAPS}?watch=1&resourceVersion={version}"):
            assert event["object"]["metadata"]["name"] == "here"
            break


async def test_a_compacted_revision_is_told_as_expired(api: Api) -> None:
    for n in range(3):
        await api.call("POST", MAPS, config_map(f"m{n}"))
    storage = api.server.server.storage
    await storage.compact(storage.revision)
    async with asyncio.timeout(5):
        async for event in api.watch(f"{MAPS}?watch=1&resourceVersion=1"):
            assert event["type"] == "ERROR"
            assert event["object"]["code"] == 410
            break


async def test_without_credentials_only_health_and_version_answer(api: Api) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert (await api.call("GET", path, token=""))[0] == 200
    for path in ("/api", "/apis", "/api/v1/namespaces", "/openapi/v2", "/metrics", "/nowhere"):
        assert (await api.call("GET", path, token=""))[0] == 403
    assert (await api.call("GET", "/healthz", token="wrong"))[0] == 401


async def test_a_service_account_may_do_what_it_is_bound_to(api: Api) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await api.call("POST", accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    status, answer = await api.call("POST", f"{accounts}/robot/token", request)
    assert status == 201
    token = answer["status"]["token"]
    assert (await api.call("GET", MAPS, token=token))[0] == 403
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    }
    assert (await api.call("POST", f"/apis/{group}/v1/namespaces/default/rolebindings", binding))[0] == 201
    assert (await api.call("GET", MAPS, token=token))[0] == 200
    assert (await api.call("POST", MAPS, config_map("x"), token=token))[0] == 403
    await api.call("DELETE", f"{accounts}/robot")
    assert (await api.call("GET", MAPS, token=token))[0] == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/namespaces/default/endpoints", {"apiVersion": "v1", "kind": "Endpoints"}),
        ("/api/v1/namespaces/default/limitranges", {"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": []}}),
        (
            "/api/v1/namespaces/default/services",
            {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 1}]}},
        ),
        (f"/apis/{RBAC}/v1/clusterroles", {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "rules": []}),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"},
        ),
    ],
)
async def test_some_kinds_are_made_by_an_update(api: Api, path: str, body: dict[str, Any]) -> None:
    body = body | {"metadata": {"name": "made"}}
    assert (await api.call("PUT", f"{path}/made", body))[0] == 201
    assert (await api.call("GET", f"{path}/made"))[0] == 200
    assert (await api.call("PUT", f"{MAPS}/made", config_map("made")))[0] == 404


async def test_who_may_change_but_not_create_makes_nothing(api: Api) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await api.call("POST", accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = (await api.call("POST", f"{accounts}/robot/token", request))[1]["status"]["token"]
    meta = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": "changes"}}
    rules = [{"apiGroups": [""], "resources": ["configmaps", "endpoints"], "verbs": ["get", "update", "patch"]}]
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "changes"}
    base = f"/apis/{RBAC}/v1/namespaces/default"
    await api.call("POST", f"{base}/roles", meta | {"kind": "Role", "rules": rules})
    binding = meta | {"kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}
    assert (await api.call("POST", f"{base}/rolebindings", binding))[0] == 201

    applied = f"{MAPS}/made?fieldManager=robot"
    media = "application/apply-patch+yaml"
    status, answer = await api.call("PATCH", applied, config_map("made"), token=token, media=media)
    assert (status, answer["message"]) == (403, 'configmaps "made" is forbidden: ')
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "made"}}
    path = "/api/v1/namespaces/default/endpoints/made"
    assert (await api.call("PUT", path, endpoints, token=token))[0] == 403
    assert (await api.call("PUT", path, endpoints))[0] == 201
    assert (await api.call("PUT", path, endpoints, token=token))[0] == 200
    assert (await api.call("POST", MAPS, config_map("made")))[0] == 201
    assert (await api.call("PATCH", applied, config_map("made"), token=token, media=media))[0] == 200


@pytest.mark.parametrize(
    ("option", "status", "message"),
    [
        ("tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z", 422, "at most one of `sinceTime` or `sinceSeconds`"),
        ("sinceSeconds=soon", 400, 'strconv.ParseInt: parsing "soon": invalid syntax'),
    ],
)
async def test_a_log_is_asked_for_in_numbers(api: Api, option: str, status: int, message: str) -> None:
    pods = "/api/v1/namespaces/default/pods"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await api.call("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    spec = {"containers": [{"name": "c", "image": "x"}]}
    assert (await api.call("POST", pods, pod | {"spec": spec}))[0] == 201
    answer = await api.call("GET", f"{pods}/p/log?{option}")
    assert answer[0] == status
    assert message in answer[1]["message"]
    assert (await api.call("GET", f"{pods}/p/log?tailLines=0"))[0] == 204


async def test_an_update_of_a_disruption_budget_names_its_version(api: Api) -> None:
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}}
    status, made = await api.call("POST", path, body | {"spec": {"maxUnavailable": 1}})
    assert status == 201
    assert (await api.call("PUT", f"{path}/b", body | {"spec": {"maxUnavailable": 2}}))[0] == 422
    made["spec"]["maxUnavailable"] = 2
    assert (await api.call("PUT", f"{path}/b", made))[0] == 200


async def test_a_definition_serves_its_kind_and_takes_its_objects_along(api: Api) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "boats", "kind": "Boat"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": {"type": "object", "properties": {"oars": {"type": "integer"}}}},
                        }
                    },
                }
            ],
        },
    }
    assert (await api.call("POST", crds, definition))[0] == 201
    boats = "/apis/example.com/v1/namespaces/default/boats"
    async with asyncio.timeout(5):
        while (await api.call("GET", boats))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    boat = {"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "b"}, "spec": {"oars": 2, "sail": 1}}
    status, created = await api.call("POST", boats, boat)
    assert status == 201
    assert created["spec"] == {"oars": 2}
    assert created["metadata"]["generation"] == 1
    assert (await api.call("DELETE", f"{crds}/boats.example.com"))[0] == 200
    async with asyncio.timeout(5):
        while (await api.call("GET", boats))[0] != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(api.server.server.storage.collection("example.com/boats")) == 0


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"metadata":[]}', "application/json", 400),
        (b"x", "text/plain", 415),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, "application/json", 400),
        (b"a: [", "application/yaml", 400),
        (b'{"data":{"a":"' + b"x" * (3 << 20) + b'"}}', "application/json", 413),
    ],
)
async def test_bad_bodies_are_the_clients_fault(api: Api, body: bytes, media: str, status: int) -> None:
    assert (await api.call("POST", MAPS, body, media=media))[0] == status


async def test_objects_survive_a_restart_and_watches_resume(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with api_server(tmp_path, in_memory=False) as server:
            api = Api(server, session)
            _, first = await api.call("POST", MAPS, config_map("a", k="1"))
            await api.call("POST", MAPS, config_map("b"))
            token = server.token
        async with api_server(tmp_path, in_memory=False) as server:
            api = Api(server, session)
            assert server.token == token
            assert (await api.call("GET", f"{MAPS}/a"))[1]["data"] == {"k": "1"}
            async with asyncio.timeout(5):
                version = first["metadata"]["resourceVersion"]
                async for event in api.watch(f"{MAPS}?watch=1&resourceVersion={version}"):
                    assert event["object"]["metadata"]["name"] == "b"
                    break


async def test_the_kubeconfig_is_private(api: Api) -> None:
    for path in (api.server.kubeconfig, api.server.kubeconfig.parent / "pki" / "admin.token"):
        assert path.stat().st_mode & 0o777 == 0o600


async def test_a_watch_ends_when_its_right_is_gone(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "_AUTHORIZE_EVERY_S", 0.1)
    group = "rbac.authorization.k8s.io"
    bindings = f"/apis/{group}/v1/namespaces/default/rolebindings"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "eve"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "eve"}],
    }
    assert (await api.call("POST", bindings, binding))[0] == 201
    headers = {"Authorization": f"Bearer {api.server.token}", "Impersonate-User": "eve"}
    tls = ssl.create_default_context(cafile=str(api.server.ca_file))
    async with api.session.get(api.server.url + MAPS + "?watch=1", headers=headers, ssl=tls) as response:
        assert response.status == 200
        assert (await api.call("DELETE", f"{bindings}/eve"))[0] == 200
        async with asyncio.timeout(5):
            assert b'"ERROR"' not in await response.content.read()
    assert (await api.call("GET", MAPS, headers={"Impersonate-User": "eve"}))[0] == 403


async def test_a_long_list_is_whole_and_its_pages_add_up(api: Api) -> None:
    for number in range(300):
        body = config_map(f"m{number:03}", text="x" * 3000)
        body["metadata"]["labels"] = {"third": str(number % 3)}
        assert (await api.call("POST", MAPS, body))[0] == 201
    status, whole = await api.call("GET", MAPS)
    assert status == 200
    assert [item["metadata"]["name"] for item in whole["items"]] == [f"m{number:03}" for number in range(300)]
    assert all(item["data"] == {"text": "x" * 3000} for item in whole["items"])
    for selector, names in (
        ("", [f"m{n:03}" for n in range(300)]),
        ("third=1", [f"m{n:03}" for n in range(1, 300, 3)]),
    ):
        seen: list[str] = []
        token = ""
        while True:
            query = f"?limit=37&continue={token}&labelSelector={selector.replace('=', '%3D')}"
            status, page = await api.call("GET", MAPS + query)
            assert status == 200
            seen += [item["metadata"]["name"] for item in page["items"]]
            token = page["metadata"].get("continue", "")
            remaining = page["metadata"].get("remainingItemCount")
            assert remaining == (len(names) - len(seen) if token and not selector else None)
            if not token:
                break
        assert seen == names
