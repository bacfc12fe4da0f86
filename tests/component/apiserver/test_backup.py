"""`kobune backup` of a serving API while it is written to, and an instance that goes on from it elsewhere."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.apiprocess import ApiProcess, api_process
from support.kubectl import KUBECTLS, Kubectl


def kobune(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kobune.main.entry", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def kubectl(api: ApiProcess, *arguments: str, stdin: str = "") -> str:
    return Kubectl(KUBECTLS[0], api.kubeconfig, "default")(*arguments, stdin=stdin)


def maps(first: int, count: int) -> str:
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{number}"}, "data": {"n": str(number)}}
        for number in range(first, first + count)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def revision_of(api: ApiProcess) -> int:
    """The newest revision that a list tells."""
    listed = json.loads(kubectl(api, "get", "--raw", "/api/v1/namespaces/default/configmaps?limit=1"))
    return int(listed["metadata"]["resourceVersion"])


@pytest.mark.timeout(180)
def test_a_backup_under_load_restores_to_a_working_instance(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    file = tmp_path / "copy.kobune"
    with api_process(source) as api:
        kubectl(api, "create", "-f", "-", stdin=maps(0, 20))
        kubectl(api, "create", "serviceaccount", "robot")
        token = kubectl(api, "create", "token", "robot").strip()
        writing = threading.Thread(target=lambda: kubectl(api, "create", "-f", "-", stdin=maps(20, 150)))
        writing.start()
        done = kobune("backup", str(file), "--data-dir", str(source / "data"))
        writing.join()
        assert done.returncode == 0, done.stderr
        assert "revision" in done.stdout
        revision = revision_of(api)
        refused = kobune("restore", str(file), "--data-dir", str(source / "data"))
        assert refused.returncode == 1
        assert "in use by another Kobune process" in refused.stderr
        kubectl(api, "get", "cm", "m0")
        admin = api.token
    done = kobune("restore", str(file), "--data-dir", str(target / "data"))
    assert done.returncode == 0, done.stderr
    with api_process(target) as api:
        assert api.token == admin
        names = set(kubectl(api, "get", "cm", "-o", "name").split())
        assert {f"configmap/m{number}" for number in range(20)} <= names
        found = sorted(int(name.removeprefix("configmap/m")) for name in names if name.startswith("configmap/m"))
        assert found == list(range(len(found))), "writes are there up to one moment, without a gap"
        who = kubectl(api, "auth", "whoami", "--token", token, "-o", "jsonpath={.status.userInfo.username}")
        assert who == "system:serviceaccount:default:robot", "a token of before the backup is good"
        assert revision_of(api) > revision
        stale = kubectl(api, "get", "--raw", f"/api/v1/configmaps?watch=1&resourceVersion={revision}")
        assert "too old resource version" in stale
        kubectl(api, "create", "-f", "-", stdin=maps(1000, 1))
