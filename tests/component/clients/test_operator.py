"""An operator of another framework (kopf) handles objects of our server: watches, patches, finalizers, events."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.apiprocess import ApiProcess
from support.kubectl import KUBECTLS, Kubectl

OPERATOR = Path(__file__).parents[2] / "support" / "configmap_operator.py"


@pytest.fixture
def look(api: ApiProcess, namespace: str, tmp_path: Path) -> Iterator[Kubectl]:
    command = [sys.executable, "-m", "kopf", "run", "-n", namespace, str(OPERATOR)]
    environment = {"KUBECONFIG": str(api.kubeconfig), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    with (tmp_path / "operator.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield Kubectl(KUBECTLS[0], api.kubeconfig, namespace)
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_handlers_of_every_event_run(look: Kubectl) -> None:
    look("create", "configmap", "settings", "--from-literal=size=1")
    look("label", "configmap", "settings", "watched=yes")
    look("wait", "--for=jsonpath={.data.seen}=created", "configmap/settings", "--timeout=60s")
    look("wait", "--for=create", "events", "--field-selector=reason=Seen", "--timeout=30s")
    look("patch", "configmap", "settings", "--type=merge", "-p", '{"data":{"size":"2"}}')
    look("wait", "--for=jsonpath={.data.seen}=size 2", "configmap/settings", "--timeout=60s")
    assert "kopf" in look("get", "configmap", "settings", "-o", "jsonpath={.metadata.finalizers}")
    look("delete", "configmap", "settings", "--timeout=60s")
    assert "settings" not in look("get", "configmaps", "-o", "name")
