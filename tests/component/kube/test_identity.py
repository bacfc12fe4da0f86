"""Who the server takes us for, by each kind of credentials that a kubeconfig can hold."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kobune.embedded.apiserver.pki import issue_client_certificate
from kobune.kube.client.config import load_config
from kobune.kube.client.errors import ApiError, Unauthorized
from kobune.kube.client.http import HttpClient
from support.apiserver import api_server

REVIEW = b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'


async def who_am_i(kubeconfig: Path) -> dict[str, Any]:
    client = HttpClient(load_config(kubeconfig))
    try:
        answer = await client.raw("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=REVIEW)
    finally:
        await client.close()
    return dict(json.loads(answer)["status"]["userInfo"])


def with_user(kubeconfig: Path, target: Path, user: dict[str, Any]) -> Path:
    document = yaml.safe_load(kubeconfig.read_text())
    document["users"][0]["user"] = user
    target.write_text(yaml.safe_dump(document))
    return target


async def test_client_certificates_are_used(tmp_path: Path) -> None:
    async with api_server(tmp_path / "data") as server:
        certificate, key = issue_client_certificate(tmp_path / "data", "alice", ["team"])
        user = {
            "client-certificate-data": base64.b64encode(certificate).decode(),
            "client-key-data": base64.b64encode(key).decode(),
        }
        info = await who_am_i(with_user(server.kubeconfig, tmp_path / "alice", user))
        assert (info["username"], "team" in info["groups"]) == ("alice", True)


async def test_token_files_are_used(tmp_path: Path) -> None:
    async with api_server(tmp_path / "data") as server:
        (tmp_path / "token").write_text(server.token)
        info = await who_am_i(with_user(server.kubeconfig, tmp_path / "config", {"tokenFile": "token"}))
        assert "system:masters" in info["groups"]


async def test_a_wrong_token_is_unauthorized(tmp_path: Path) -> None:
    async with api_server(tmp_path / "data") as server:
        with pytest.raises(Unauthorized):
            await who_am_i(with_user(server.kubeconfig, tmp_path / "config", {"token": "wrong"}))


async def test_another_authority_is_not_trusted(tmp_path: Path) -> None:
    async with api_server(tmp_path / "data") as server, api_server(tmp_path / "other") as other:
        document = yaml.safe_load(server.kubeconfig.read_text())
        foreign = yaml.safe_load(other.kubeconfig.read_text())
        name = "certificate-authority-data"
        document["clusters"][0]["cluster"][name] = foreign["clusters"][0]["cluster"][name]
        target = tmp_path / "config"
        target.write_text(yaml.safe_dump(document))
        with pytest.raises(ApiError) as caught:
            await who_am_i(target)
        assert caught.value.reason == "ConnectionFailed"
        assert "certificate" in str(caught.value).lower()
