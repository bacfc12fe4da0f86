"""The kubeconfig of each component: client certificates for Kubernetes' own parts, ServiceAccount tokens for the rest.

Tokens are bound and short-lived; `refresh_tokens` writes new ones long before they expire, and clients read the
token file again by themselves.
"""

import asyncio
import base64
import json
import logging
from datetime import timedelta

import msgspec
import yaml

from kobune.base.errors import KobuneError
from kobune.embedded.apiserver.pki import issue_client_certificate, issue_server_certificate
from kobune.embedded.kubelet.machine import own_address
from kobune.host.files import write_file
from kobune.kube.client.protocol import Client
from kobune.main.settings import NAMESPACE, Settings

__all__ = [
    "keep_tokens_fresh",
    "write_certificate_kubeconfigs",
    "write_file",
    "write_kubelet_serving_certificate",
    "write_token_kubeconfigs",
]

log = logging.getLogger(__name__)

TOKEN_LIFE = timedelta(hours=12)
REFRESH_EVERY = timedelta(hours=3)
STORAGE_USER = "system:kobune:local-storage"
NETWORKS_USER = "system:kobune:network-attachments"
SERVICE_ACCOUNTS = {name: f"kobune-{name}" for name in ("virt-api", "virt-controller", "virt-handler")}


def _kubeconfig(settings: Settings, ca: bytes, user: dict[str, str]) -> bytes:
    host = f"[{settings.listen_host}]" if ":" in settings.listen_host else settings.listen_host
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - compared, not listened on
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "kobune",
                "cluster": {
                    "server": f"https://{host}:{settings.listen_port}",
                    "certificate-authority-data": base64.b64encode(ca).decode(),
                },
            }
        ],
        "users": [{"name": "component", "user": user}],
        "contexts": [{"name": "kobune", "context": {"cluster": "kobune", "user": "component"}}],
        "current-context": "kobune",
    }
    return yaml.safe_dump(document).encode()


def write_certificate_kubeconfigs(settings: Settings, ca: bytes) -> None:
    """Kubeconfigs of Kubernetes' own parts, with the identities that it gives them."""
    identities = {
        "controllers": ("system:kube-controller-manager", []),
        "kubelet": (f"system:node:{settings.node}", ["system:nodes"]),
        "network": ("system:kube-proxy", []),
        "storage": (STORAGE_USER, []),
        "networks": (NETWORKS_USER, []),
    }
    for name, (common_name, organizations) in identities.items():
        certificate, key = issue_client_certificate(settings.data_dir, common_name, organizations)
        user = {
            "client-certificate-data": base64.b64encode(certificate).decode(),
            "client-key-data": base64.b64encode(key).decode(),
        }
        write_file(settings.component_kubeconfig(name), _kubeconfig(settings, ca, user))


def write_kubelet_serving_certificate(settings: Settings) -> None:
    """The certificate of the kubelet's server, which the API server verifies by the instance's authority."""
    names = [settings.node, own_address(), "127.0.0.1"]
    certificate, key = issue_server_certificate(settings.data_dir, f"system:node:{settings.node}", names)
    certificate_file, key_file = settings.kubelet_serving_files
    write_file(key_file, key)
    write_file(certificate_file, certificate)


async def write_token_kubeconfigs(settings: Settings, ca: bytes, client: Client) -> None:
    """Kubeconfigs of the virtualization components, which are ServiceAccounts as on any cluster."""
    for name in SERVICE_ACCOUNTS:
        path = settings.component_kubeconfig(name)
        await _write_token(settings, client, name)
        write_file(path, _kubeconfig(settings, ca, {"tokenFile": str(path.with_name("token"))}))


async def _write_token(settings: Settings, client: Client, name: str) -> None:
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": int(TOKEN_LIFE.total_seconds())},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{SERVICE_ACCOUNTS[name]}/token"
    answer = msgspec.json.decode(await client.raw("POST", path, body=json.dumps(request).encode()))
    token = answer["status"]["token"].encode()
    write_file(settings.component_kubeconfig(name).with_name("token"), token)


async def keep_tokens_fresh(settings: Settings, client: Client) -> None:
    """Renew the tokens for ever; a failure is tried again after a minute, far inside of their life."""
    wait_s = REFRESH_EVERY.total_seconds()
    while True:
        await asyncio.sleep(wait_s)
        try:
            for name in SERVICE_ACCOUNTS:
                await _write_token(settings, client, name)
            wait_s = REFRESH_EVERY.total_seconds()
        except KobuneError as error:
            log.warning("cannot renew a component's token: %s; trying again in 60 s", error)
            wait_s = 60.0
