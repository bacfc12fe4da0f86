"""The registry that tests pull from keeps the rules that container runtimes rely on."""

import base64
import hashlib
from pathlib import Path

import aiohttp
import pytest

from kobune_images.archive import Entry, ImageConfig, write_archive, write_layer
from support.registry import serve_registry


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    layer = write_layer(tmp_path / "layer.tar", [Entry("file", b"content" * 1000)])
    write_archive(tmp_path / "image.tar", "team/demo:v1", [layer], ImageConfig())
    return tmp_path / "image.tar"


async def test_manifests_by_tag_and_digest_and_blobs_by_range(archive: Path) -> None:
    async with serve_registry() as registry, aiohttp.ClientSession(f"http://{registry.address}") as session:
        digest = registry.add("team/demo:v1", archive)
        assert registry.reference("team/demo:v1") == f"{registry.address}/team/demo:v1"
        async with session.head("/v2/team/demo/manifests/v1") as response:
            assert response.status == 200
            assert response.headers["Docker-Content-Digest"] == digest
        async with session.get(f"/v2/team/demo/manifests/{digest}") as response:
            body = await response.read()
            assert f"sha256:{hashlib.sha256(body).hexdigest()}" == digest
            manifest = await response.json(content_type=None)
        (layer,) = manifest["layers"]
        async with session.get(f"/v2/team/demo/blobs/{layer['digest']}") as response:
            blob = await response.read()
            assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == layer["digest"]
        async with session.get(
            f"/v2/team/demo/blobs/{layer['digest']}", headers={"Range": "bytes=100-199"}
        ) as response:
            assert response.status == 206
            assert await response.read() == blob[100:200]
        for path, status in (("/v2/team/demo/manifests/v2", 404), ("/v2/other/blobs/sha256:0", 404), ("/v2/", 200)):
            async with session.get(path) as response:
                assert response.status == status
        async with session.post("/v2/team/demo/blobs/uploads/") as response:
            assert response.status == 405
        assert f"GET /v2/team/demo/manifests/{digest}" in registry.requests


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"puller:{password}".encode()).decode()}


async def test_a_private_registry_wants_its_credentials(archive: Path) -> None:
    async with serve_registry(("puller", "secret")) as registry, aiohttp.ClientSession() as session:
        registry.add("demo:v1", archive)
        url = f"http://{registry.reference('v2/demo/manifests/v1')}"
        async with session.get(url) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic ")
        async with session.get(url, headers=basic("wrong")) as response:
            assert response.status == 401
        async with session.get(url, headers=basic("secret")) as response:
            assert response.status == 200
