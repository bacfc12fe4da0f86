"""One API server for all tests with real clients; every test has a namespace of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.apiprocess import ApiProcess, api_process
from support.kubectl import KUBECTLS, Kubectl


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def namespace(api: ApiProcess) -> Iterator[str]:
    """A new namespace, deleted afterwards without waiting for it."""
    name = f"clients-{uuid.uuid4().hex[:8]}"
    kubectl = Kubectl(KUBECTLS[0], api.kubeconfig, "default")
    kubectl("create", "namespace", name)
    kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=20s")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(params=KUBECTLS, ids=lambda path: "system" if Path("/usr") in path.parents else "pypi")
def kubectl(request: pytest.FixtureRequest, api: ApiProcess, namespace: str, tmp_path: Path) -> Kubectl:
    """Each kubectl of this machine in turn, in the test's namespace."""
    return Kubectl(request.param, api.kubeconfig, namespace, folder=tmp_path)
