"""A user is made the usual way: key, request, approval, certificate; with openssl's formats and kubectl."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from support.apiprocess import ApiProcess, api_process
from support.kubectl import KUBECTLS as PROGRAMS

KUBECTLS = [str(program) for program in PROGRAMS]
SIGNER = "kubernetes.io/kube-apiserver-client"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process(tmp_path_factory.mktemp("api")) as running:
        yield running


def kubectl(binary: str, api: ApiProcess, *arguments: str, text: str = "", fails: bool = False) -> str:
    command = [binary, "--kubeconfig", str(api.kubeconfig), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def manifest(name: str, common_name: str, organization: str, key: rsa.RSAPrivateKey, **spec: Any) -> str:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = signed.public_bytes(serialization.Encoding.PEM)
    body = {"request": base64.b64encode(pem).decode(), "signerName": SIGNER, "usages": ["client auth"], **spec}
    return json.dumps(
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": body,
        }
    )


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("binary", KUBECTLS)
def test_an_approved_user_gets_in_with_his_groups(
    api: ApiProcess, key: rsa.RSAPrivateKey, tmp_path: Path, binary: str
) -> None:
    kubectl(binary, api, "create", "-f", "-", text=manifest("jane", "jane", "devs", key, expirationSeconds=3600))
    row = kubectl(binary, api, "get", "csr", "jane", "--no-headers").split()
    assert row[2:] == [SIGNER, "kobune-admin", "60m", "Pending"]
    kubectl(binary, api, "certificate", "approve", "jane")
    wait = ("wait", "--for=jsonpath={.status.certificate}", "csr/jane", "--timeout=20s")
    kubectl(binary, api, *wait)
    encoded = kubectl(binary, api, "get", "csr", "jane", "-o", "jsonpath={.status.certificate}")
    certificate, key_file = tmp_path / "jane.crt", tmp_path / "jane.key"
    certificate.write_bytes(base64.b64decode(encoded))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    who = [binary, "--kubeconfig", "/dev/null", "--server", api.url, "--certificate-authority", str(api.ca_file)]
    who += ["--client-certificate", str(certificate), "--client-key", str(key_file)]
    told = subprocess.run(
        [*who, "auth", "whoami", "-o", "json"], capture_output=True, text=True, timeout=60, check=True
    )
    info = json.loads(told.stdout)["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("jane", ["devs", "system:authenticated"])
    refused = subprocess.run([*who, "get", "pods"], capture_output=True, text=True, timeout=60, check=False)
    assert 'User "jane" cannot list resource "pods"' in refused.stderr
    kubectl(binary, api, "create", "clusterrolebinding", "devs", "--clusterrole=view", "--group=devs")
    subprocess.run([*who, "get", "pods"], capture_output=True, timeout=60, check=True)
    kubectl(binary, api, "delete", "csr/jane", "clusterrolebinding/devs")


def test_denied_requests_stay_without_a_certificate(api: ApiProcess, key: rsa.RSAPrivateKey) -> None:
    binary = KUBECTLS[0]
    kubectl(binary, api, "create", "-f", "-", text=manifest("joe", "joe", "devs", key))
    kubectl(binary, api, "certificate", "deny", "joe")
    time.sleep(1)
    assert kubectl(binary, api, "get", "csr", "joe", "--no-headers").split()[-1] == "Denied"
    told = kubectl(binary, api, "certificate", "approve", "joe", fails=True)
    assert "Denied" in told


def test_what_a_signer_can_not_sign_is_told(api: ApiProcess, key: rsa.RSAPrivateKey) -> None:
    binary = KUBECTLS[0]
    text = manifest("node", "jane", "devs", key, signerName="kubernetes.io/kubelet-serving", usages=["server auth"])
    kubectl(binary, api, "create", "-f", "-", text=text)
    kubectl(binary, api, "certificate", "approve", "node")
    kubectl(binary, api, "wait", "--for=condition=Failed", "csr/node", "--timeout=20s")
    assert kubectl(binary, api, "get", "csr", "node", "--no-headers").split()[-1] == "Approved,Failed"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"usages": []}, "spec.usages: Required value"),
        ({"usages": ["everything"]}, 'spec.usages[0]: Unsupported value: "everything"'),
        ({"signerName": "mine"}, "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        ({"expirationSeconds": 5}, "may not specify a duration less than 600 seconds"),
        ({"request": base64.b64encode(b"x").decode()}, "PEM block type must be CERTIFICATE REQUEST"),
    ],
)
def test_bad_requests_are_refused(api: ApiProcess, key: rsa.RSAPrivateKey, spec: dict[str, Any], message: str) -> None:
    assert message in kubectl(
        KUBECTLS[0], api, "create", "-f", "-", text=manifest("bad", "x", "y", key, **spec), fails=True
    )


def test_nobody_becomes_an_administrator_by_a_request(api: ApiProcess, key: rsa.RSAPrivateKey) -> None:
    told = kubectl(KUBECTLS[0], api, "create", "-f", "-", text=manifest("m", "x", "system:masters", key), fails=True)
    assert f"use of {SIGNER} signer with system:masters group is not allowed" in told


def test_approving_needs_a_right_on_the_signer(api: ApiProcess, key: rsa.RSAPrivateKey) -> None:
    binary = KUBECTLS[0]
    kubectl(binary, api, "create", "-f", "-", text=manifest("kim", "kim", "devs", key))
    resource = "certificatesigningrequests.certificates.k8s.io"
    role = ("create", "clusterrole", "approver", "--verb=get,list,update")
    kubectl(binary, api, *role, f"--resource={resource},{resource}/approval")
    kubectl(binary, api, "create", "clusterrolebinding", "approver", "--clusterrole=approver", "--user=bob")
    told = kubectl(binary, api, "certificate", "approve", "kim", "--as=bob", fails=True)
    assert f'user not permitted to approve requests with signerName "{SIGNER}"' in told
    rule = {
        "apiGroups": ["certificates.k8s.io"],
        "resources": ["signers"],
        "resourceNames": ["kubernetes.io/*"],
        "verbs": ["approve"],
    }
    signers = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "signers"},
        "rules": [rule],
    }
    kubectl(binary, api, "create", "-f", "-", text=json.dumps(signers))
    kubectl(binary, api, "create", "clusterrolebinding", "signers", "--clusterrole=signers", "--user=bob")
    kubectl(binary, api, "certificate", "approve", "kim", "--as=bob")
