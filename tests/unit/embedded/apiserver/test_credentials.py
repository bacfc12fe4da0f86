"""The PKI and ServiceAccount tokens."""

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kobune.embedded.apiserver.auth.tokens import AUDIENCE, ServiceAccountTokens, TokenRejected
from kobune.embedded.apiserver.pki import Pki, issue_client_certificate
from kobune.embedded.apiserver.registry.collection import Item, encode_object
from kobune.embedded.store import Entry, Key


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    pki = Pki(tmp_path / "pki")
    pki.prepare(["node.example", "192.0.2.7"])
    return pki


def test_keys_are_private_and_nothing_is_made_twice(pki: Pki) -> None:
    keys = [*pki.directory.glob("*.key")]
    assert len(keys) == 6
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    before = {path: path.read_bytes() for path in pki.directory.iterdir()}
    pki.prepare(["node.example"])
    assert {path: path.read_bytes() for path in pki.directory.iterdir()} == before


def test_another_host_name_renews_the_servers_certificate_only(pki: Pki) -> None:
    ca, server = pki.ca_pem, pki.server_cert_file.read_bytes()
    pki.prepare(["other.example"])
    assert pki.ca_pem == ca
    assert pki.server_cert_file.read_bytes() != server


def test_client_certificates_carry_user_and_groups(pki: Pki) -> None:
    certificate, key = issue_client_certificate(pki.directory.parent, "system:node:a", ["system:nodes"])
    subject = x509.load_pem_x509_certificate(certificate).subject.rfc4514_string()
    assert "CN=system:node:a" in subject
    assert "O=system:nodes" in subject
    assert b"PRIVATE KEY" in key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_cert_file, pki.server_key_file)


class Cluster:
    """Stored objects by (resource, namespace, name)."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str, str], Item] = {}

    def add(self, resource: str, namespace: str, name: str, uid: str) -> None:
        obj = {"apiVersion": "v1", "kind": "X", "metadata": {"name": name, "namespace": namespace, "uid": uid}}
        kind, body = encode_object(obj, 1)
        item = Item(
            Entry(1, Key(resource, namespace, name), 1, 0, False, kind, body), b'{"kind":"X","apiVersion":"v1",'
        )
        self.items[(resource, namespace, name)] = item

    def find(self, resource: str, namespace: str, name: str) -> Item | None:
        return self.items.get((resource, namespace, name))


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.add("core/serviceaccounts", "n", "robot", "u1")
    cluster.add("core/pods", "n", "p", "u2")
    return cluster


@pytest.fixture
def tokens(pki: Pki, cluster: Cluster) -> ServiceAccountTokens:
    return ServiceAccountTokens(pki.service_account_key_file, cluster.find)


def issue(tokens: ServiceAccountTokens, **more: Any) -> str:
    return tokens.issue("n", "robot", "u1", [AUDIENCE], 600, **more)[0]


def test_a_token_names_its_account_and_the_pod_it_is_bound_to(tokens: ServiceAccountTokens) -> None:
    user, audiences = tokens.verify(issue(tokens, bound=("Pod", "p", "u2")), [AUDIENCE])
    assert user.name == "system:serviceaccount:n:robot"
    assert "system:serviceaccounts:n" in user.groups
    assert user.extra["authentication.kubernetes.io/pod-name"] == ("p",)
    assert audiences == [AUDIENCE]


def test_a_token_dies_with_its_account_and_its_pod(tokens: ServiceAccountTokens, cluster: Cluster) -> None:
    token = issue(tokens, bound=("Pod", "p", "u2"))
    cluster.add("core/pods", "n", "p", "another")
    with pytest.raises(TokenRejected, match="gone"):
        tokens.verify(token, [AUDIENCE])
    plain = issue(tokens)
    del cluster.items[("core/serviceaccounts", "n", "robot")]
    with pytest.raises(TokenRejected, match="gone"):
        tokens.verify(plain, [AUDIENCE])


def test_other_audiences_expired_and_forged_tokens_are_rejected(
    tokens: ServiceAccountTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issue(tokens)
    with pytest.raises(TokenRejected, match="audience"):
        tokens.verify(token, ["vault"])
    with pytest.raises(TokenRejected):
        tokens.verify(token[:-4] + "AAAA", [AUDIENCE])
    with pytest.raises(TokenRejected):
        tokens.verify("not.a.token", [AUDIENCE])
    later = time.time() + 700
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(TokenRejected, match="expired"):
        tokens.verify(token, [AUDIENCE])


def test_the_published_key_verifies_tokens(tokens: ServiceAccountTokens) -> None:
    import jwt

    key = jwt.PyJWK(tokens.keys()["keys"][0])
    claims = jwt.decode(issue(tokens), key.key, algorithms=["ES256"], audience=AUDIENCE)
    assert claims["iss"] == tokens.configuration()["issuer"]
