"""Finding out where the API is."""

import base64
from pathlib import Path

import pytest
import yaml

from kobune.kube.client.config import ConfigError, Impersonation, in_cluster_config, load_config

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "one",
    "clusters": [
        {
            "name": "c",
            "cluster": {
                "server": "https://127.0.0.1:6443/",
                "certificate-authority-data": base64.b64encode(b"CA").decode(),
                "tls-server-name": "kubernetes",
            },
        },
        {"name": "d", "cluster": {"server": "https://other:6443", "insecure-skip-tls-verify": True}},
    ],
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "ns"}},
        {"name": "two", "context": {"cluster": "d", "user": "files"}},
        {"name": "three", "context": {"cluster": "d", "user": "exec"}},
    ],
    "users": [
        {"name": "u", "user": {"token": "t"}},
        {"name": "files", "user": {"client-certificate": "cert.pem", "client-key": "key.pem", "tokenFile": "token"}},
        {
            "name": "exec",
            "user": {
                "exec": {
                    "apiVersion": "client.authentication.k8s.io/v1",
                    "command": "login",
                    "args": ["-x"],
                    "env": [{"name": "A", "value": "b"}],
                    "interactiveMode": "Never",
                }
            },
        },
    ],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(KUBECONFIG))
    (tmp_path / "cert.pem").write_text("CERT")
    (tmp_path / "key.pem").write_text("KEY")
    return path


def test_the_current_context_is_used(path: Path) -> None:
    config = load_config(path)
    assert (config.server, config.ca_pem, config.token) == ("https://127.0.0.1:6443", b"CA", "t")
    assert (config.namespace, config.context, config.tls_server_name) == ("ns", "one", "kubernetes")


def test_files_are_relative_to_the_kubeconfig(path: Path) -> None:
    config = load_config(path, "two")
    assert (config.client_certificate_pem, config.client_key_pem) == (b"CERT", b"KEY")
    assert config.token_file == path.parent / "token"
    assert (config.insecure, config.namespace) == (True, "default")


def test_exec_plugins_are_understood(path: Path) -> None:
    plugin = load_config(path, "three").exec_plugin
    assert plugin is not None
    assert (plugin.command, plugin.args, plugin.env) == ("login", ("-x",), (("A", "b"),))


def test_the_environment_names_the_first_file_that_exists(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"/nowhere/config:{path}")
    assert load_config().context == "one"


def test_several_files_are_one_and_the_first_counts(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / "config"
    other.parent.mkdir()
    (other.parent / "more.pem").write_text("MORE")
    user = {"name": "more", "user": {"client-certificate": "more.pem", "client-key": "more.pem"}}
    context = {"name": "four", "context": {"cluster": "c", "user": "more"}}
    shadowed = {"name": "u", "user": {"token": "not this one"}}
    other.write_text(yaml.safe_dump({"current-context": "four", "users": [user, shadowed], "contexts": [context]}))
    monkeypatch.setenv("KUBECONFIG", f"{path}:{other}")
    assert load_config().token == "t"
    config = load_config(context="four")
    assert (config.server, config.client_certificate_pem) == ("https://127.0.0.1:6443", b"MORE")


def test_a_user_may_be_somebody_else(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    extra = {"scopes": ["a", "b"]}
    document["users"][0]["user"] |= {"as": "mary", "as-uid": "7", "as-groups": ["staff"], "as-user-extra": extra}
    path.write_text(yaml.safe_dump(document))
    who = load_config(path).impersonate
    assert who == Impersonation("mary", "7", ("staff",), (("scopes", "a"), ("scopes", "b")))


def test_without_a_context_a_cluster_and_a_user_do(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    del document["current-context"]
    path.write_text(yaml.safe_dump(document))
    config = load_config(path, cluster="c", user="u")
    assert (config.server, config.token, config.tls_server_name) == ("https://127.0.0.1:6443", "t", "kubernetes")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read kubeconfig"),
        ("[]", "is no kubeconfig"),
        ("clusters: []\ncontexts: []\n", "No current context"),
        ("current-context: x\nclusters: []\ncontexts: []\n", "Context 'x' not found"),
        ("{", "cannot read kubeconfig"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for name, text in (("token", "t"), ("namespace", "kobune"), ("ca.crt", "CA")):
        (tmp_path / name).write_text(text)
    config = in_cluster_config(tmp_path)
    assert (config.server, config.namespace, config.ca_pem) == ("https://[fd00::1]:443", "kobune", b"CA")
    assert config.token_file == tmp_path / "token"


def test_no_service_account_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(ConfigError, match="no service account in this pod"):
        in_cluster_config(tmp_path)
