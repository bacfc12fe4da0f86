"""A full disk refuses writes, loses none that was acknowledged, and is over once there is room again."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.apiprocess import ApiProcess, api_process

pytestmark = pytest.mark.node

DISK = "16m"
VALUE = "x" * 200_000
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True, timeout=30)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


def ask(api: ApiProcess, method: str, path: str, body: object = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{api.url}{path}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"},
    )
    context = ssl.create_default_context(cafile=str(api.ca_file))
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def create(api: ApiProcess, name: str) -> tuple[int, Any]:
    return ask(api, "POST", CONFIGMAPS, {"metadata": {"name": name}, "data": {"value": VALUE}})


def names(api: ApiProcess) -> set[str]:
    code, found = ask(api, "GET", CONFIGMAPS)
    assert code == 200
    return {one["metadata"]["name"] for one in found["items"] if one["metadata"]["name"].startswith("c-")}


def test_writes_are_refused_while_the_disk_is_full_and_none_is_lost(small_disk: Path) -> None:
    acknowledged: set[str] = set()
    with api_process(small_disk, controllers=False) as api:
        refused = 0
        for number in range(200):
            code, answer = create(api, f"c-{number}")
            if code == 201:
                acknowledged.add(f"c-{number}")
                continue
            assert code >= 500, answer
            assert answer["kind"] == "Status", answer
            refused += 1
            if refused == 5:
                break
        assert refused == 5, "the disk was never full"
        assert len(acknowledged) > 5
        assert names(api) == acknowledged, "what is there can still be read"

        # With room again, it takes writes without being started anew.
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True, timeout=30)
        code, answer = create(api, "c-after")
        assert code == 201, answer
        acknowledged.add("c-after")
        assert names(api) == acknowledged
    with api_process(small_disk, controllers=False) as api:
        assert names(api) == acknowledged, "after a restart"
