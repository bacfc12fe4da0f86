"""Pod security admission as a client meets it: refusals, warnings, labels, the audit log."""

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.apiserver import Running, api_server

LABEL = "pod-security.kubernetes.io/"
POD: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
NODE: dict[str, Any] = {"metadata": {"name": "n"}, "spec": {**POD["spec"], "hostNetwork": True}}
SAFE: dict[str, Any] = {
    "metadata": {"name": "safe"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "c",
                "image": "x",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
PODS = "/api/v1/namespaces/strict/pods"


class Api:
    """Requests of the administrator; answers are (status, body, warnings)."""

    def __init__(self, server: Running, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self.tls = ssl.create_default_context(cafile=str(server.ca_file))

    async def call(self, method: str, path: str, body: Any, kind: str = "json") -> tuple[int, Any, list[str]]:
        headers = {"Authorization": f"Bearer {self.server.token}", "Content-Type": f"application/{kind}"}
        async with self.session.request(
            method, self.server.url + path, data=json.dumps(body), headers=headers, ssl=self.tls
        ) as response:
            warnings = [text.split('"', 1)[1].rsplit('"', 1)[0] for text in response.headers.getall("Warning", [])]
            return response.status, await response.json(), [text.replace('\\"', '"') for text in warnings]

    async def namespace(self, name: str, **labels: str) -> tuple[int, Any, list[str]]:
        metadata = {"name": name, "labels": {LABEL + key.replace("_", "-"): value for key, value in labels.items()}}
        answer = await self.call("POST", "/api/v1/namespaces", {"metadata": metadata})
        if answer[0] == 201:
            await self.call("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        return answer


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with api_server(tmp_path, audit_log=tmp_path / "audit.log") as server, aiohttp.ClientSession() as session:
        yield Api(server, session)


async def test_a_pod_is_refused_with_all_that_is_wrong_with_it(api: Api) -> None:
    assert (await api.namespace("strict", enforce="restricted"))[0] == 201
    status, answer, _ = await api.call("POST", PODS, POD)
    assert status == 403
    assert answer["reason"] == "Forbidden"
    assert answer["message"] == (
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
        '"c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must '
        'set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )
    status, _, warnings = await api.call("POST", PODS, SAFE)
    assert (status, warnings) == (201, [])
    # Nothing that a control sees: even what would be refused now may be labelled.
    status, _, _ = await api.call("PATCH", f"{PODS}/safe", {"metadata": {"labels": {"a": "b"}}}, "merge-patch+json")
    assert status == 200


async def test_a_debugging_container_is_held_to_the_level_as_well(api: Api) -> None:
    await api.namespace("strict", enforce="restricted")
    await api.call("POST", PODS, SAFE)
    added = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "x"}]}}
    status, answer, _ = await api.call("PATCH", f"{PODS}/safe/ephemeralcontainers", added, "strategic-merge-patch+json")
    assert status == 403
    assert 'container "debug" must set securityContext.allowPrivilegeEscalation=false' in answer["message"]


async def test_what_makes_pods_is_stored_with_a_warning(api: Api) -> None:
    await api.namespace("strict", enforce="baseline")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": NODE["spec"]}
    deployment = {
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    status, _, warnings = await api.call("POST", "/apis/apps/v1/namespaces/strict/deployments", deployment)
    assert status == 201
    assert warnings == ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']
    job = {"spec": {"template": {"spec": {**NODE["spec"], "restartPolicy": "Never"}}}}
    cron = {"metadata": {"name": "j"}, "spec": {"schedule": "0 0 * * *", "jobTemplate": job}}
    status, _, warnings = await api.call("POST", "/apis/batch/v1/namespaces/strict/cronjobs", cron)
    assert status == 201
    assert warnings == ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']


async def test_labels_must_mean_something(api: Api) -> None:
    status, answer, _ = await api.namespace("wrong", enforce="tight", warn_version="1.30")
    assert status == 422
    assert answer["message"] == (
        f'Namespace "wrong" is invalid: [metadata.labels[{LABEL}enforce]: Invalid value: "tight": must be one of '
        f'privileged, baseline, restricted, metadata.labels[{LABEL}warn-version]: Invalid value: "1.30": must be '
        '"latest" or "v1.x"]'
    )
    assert (await api.namespace("plain"))[0] == 201
    patch = {"metadata": {"labels": {f"{LABEL}audit": "none"}}}
    status, _, _ = await api.call("PATCH", "/api/v1/namespaces/plain", patch, "merge-patch+json")
    assert status == 422


async def test_a_namespace_that_becomes_stricter_tells_what_is_in_the_way(api: Api) -> None:
    await api.namespace("strict")
    assert (await api.call("POST", PODS, NODE))[0] == 201
    patch = {"metadata": {"labels": {f"{LABEL}enforce": "baseline"}}}
    status, _, warnings = await api.call("PATCH", "/api/v1/namespaces/strict", patch, "merge-patch+json")
    assert status == 200
    assert warnings == [
        'existing pods in namespace "strict" violate the new PodSecurity enforce level "baseline:latest"',
        "n: host namespaces",
    ]


async def test_the_audit_log_has_what_is_only_noted(api: Api, tmp_path: Path) -> None:
    await api.namespace("strict", audit="baseline", audit_version="v1.30")
    status, _, warnings = await api.call("POST", PODS, NODE)
    assert (status, warnings) == (201, [])
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    (line,) = (line for line in lines if line["objectRef"].get("resource") == "pods")
    assert line["annotations"] == {
        f"{LABEL}enforce-policy": "privileged:latest",
        f"{LABEL}audit-violations": 'would violate PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true)',
    }
