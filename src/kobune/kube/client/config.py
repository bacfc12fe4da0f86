"""Where the API is and who we are, from a kubeconfig file or from inside of a pod.

Owns: `ClientConfig` and loading it. The file's syntax, contexts and the in-cluster files are read by lightkube.
Must not: connect.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kobune.base.errors import TerminalError

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig

__all__ = ["ClientConfig", "ConfigError", "ExecPlugin", "in_cluster_config", "load_config"]

SERVICE_ACCOUNT_DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(TerminalError):
    """There is no usable kubeconfig; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A credential plugin of client.authentication.k8s.io."""

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    install_hint: str = ""


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Everything needed to connect. Certificates and keys are PEM; at most one kind of credentials is used, in the
    order token file, token, exec plugin, basic; client certificates are used beside any of them."""

    server: str
    ca_pem: bytes | None = None
    insecure: bool = False
    tls_server_name: str | None = None
    client_certificate_pem: bytes | None = None
    client_key_pem: bytes | None = None
    token: str | None = None
    token_file: Path | None = None
    exec_plugin: ExecPlugin | None = None
    basic: tuple[str, str] | None = None
    namespace: str = "default"
    context: str = ""


def load_config(path: Path | None = None, context: str | None = None) -> ClientConfig:
    """The configuration to use: `path`, else $KUBECONFIG, else the pod's service account, else ~/.kube/config.

    $KUBECONFIG may list several files: the first one that exists is used. Raises ConfigError.
    """
    if path is None and (listed := os.environ.get("KUBECONFIG")):
        path = next((Path(part) for part in listed.split(":") if part and Path(part).is_file()), None)
        if path is None:
            raise ConfigError(f"KUBECONFIG={listed}: no such file")
    if path is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return in_cluster_config()
    return _from_file(path if path is not None else Path("~/.kube/config").expanduser(), context)


def in_cluster_config(directory: Path = SERVICE_ACCOUNT_DIRECTORY) -> ClientConfig:
    """The configuration of a pod; the token file is read again whenever it changes. Raises ConfigError."""
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ConfigError as LightkubeConfigError

    try:
        single = KubeConfig.from_service_account(directory).get()
    except (LightkubeConfigError, KeyError) as error:
        raise ConfigError(f"no service account in this pod: {error}") from error
    assert single is not None
    return _from_single(single, None)


def _from_file(path: Path, context: str | None) -> ClientConfig:
    # lightkube brings httpx along (60 ms, 9 MB): only who reads a kubeconfig pays for it.
    import yaml
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ConfigError as LightkubeConfigError

    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read kubeconfig {path}: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no kubeconfig")
    try:
        single = KubeConfig.from_dict(document, fname=path.resolve()).get(context)
    except (LightkubeConfigError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"kubeconfig {path}: {error}") from error
    assert single is not None
    clusters = {entry["name"]: entry["cluster"] for entry in document["clusters"]}
    # The library does not know this field.
    server_name = clusters[single.context.cluster].get("tls-server-name")
    return _from_single(single, server_name)


def _from_single(single: "SingleConfig", server_name: str | None) -> ClientConfig:
    cluster, user = single.cluster, single.user

    def pem(data: str | None, file: str | None) -> bytes | None:
        if data:
            return base64.b64decode(data)
        if file:
            try:
                return Path(single.abs_file(file)).read_bytes()
            except OSError as error:
                raise ConfigError(f"kubeconfig {single.fname}: {error}") from error
        return None

    credentials: dict[str, Any] = {}
    if user is not None:
        credentials = {
            "client_certificate_pem": pem(user.client_cert_data, user.client_cert),
            "client_key_pem": pem(user.client_key_data, user.client_key),
            "token": user.token,
            "token_file": Path(single.abs_file(user.token_file)) if user.token_file else None,
            "basic": (user.username, user.password) if user.username and user.password else None,
        }
        if user.auth_provider and not (user.token or user.token_file or user.exec):
            raise ConfigError(
                f"kubeconfig {single.fname}: auth-provider is not supported; "
                "use an exec plugin, a token or a certificate"
            )
        if user.exec is not None:
            credentials["exec_plugin"] = ExecPlugin(
                user.exec.apiVersion,
                user.exec.command,
                tuple(user.exec.args or ()),
                tuple((variable.name, variable.value) for variable in user.exec.env or ()),
                user.exec.installHint or "",
            )
    return ClientConfig(
        server=cluster.server.rstrip("/"),
        ca_pem=pem(cluster.certificate_auth_data, cluster.certificate_auth),
        insecure=cluster.insecure,
        tls_server_name=server_name,
        namespace=single.namespace,
        context=single.context_name,
        **credentials,
    )
