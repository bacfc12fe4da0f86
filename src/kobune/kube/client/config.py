"""Where the API is and who we are, from kubeconfig files or from inside of a pod.

Owns: `ClientConfig` and loading it. The file's syntax, contexts and the in-cluster files are read by lightkube.
Must not: connect.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kobune.base.errors import TerminalError

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig

__all__ = ["ClientConfig", "ConfigError", "ExecPlugin", "Impersonation", "in_cluster_config", "load_config"]

T = TypeVar("T")

SERVICE_ACCOUNT_DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PATHS: Final = frozenset({"certificate-authority", "client-certificate", "client-key", "tokenFile"})
"""Fields that name files, relative to the kubeconfig that they stand in."""


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
class Impersonation:
    """In whose name requests are made; who makes them needs the right to do so. `extra` may repeat a key."""

    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


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
    impersonate: Impersonation | None = None
    namespace: str = "default"
    context: str = ""


def load_config(
    path: Path | None = None, context: str | None = None, *, cluster: str = "", user: str = ""
) -> ClientConfig:
    """The configuration to use: `path`, else $KUBECONFIG, else the pod's service account, else ~/.kube/config.

    $KUBECONFIG may list several files, which are merged: what comes first counts. `cluster` and `user` name entries
    to use instead of the context's. Raises ConfigError.
    """
    paths = [path] if path is not None else []
    if path is None and (listed := os.environ.get("KUBECONFIG")):
        paths = [found for part in listed.split(":") if part and (found := Path(part).expanduser()).is_file()]
        if not paths:
            raise ConfigError(f"KUBECONFIG={listed}: no such file")
    if not paths and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return in_cluster_config()
    return _from_files(paths or [Path("~/.kube/config").expanduser()], context, cluster, user)


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


def _read(path: Path) -> dict[str, Any]:
    """The file's document, its paths made absolute."""
    import yaml

    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, yaml.YAMLError) as error:
        text = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigError(f"cannot read kubeconfig {path}: {text}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no kubeconfig")
    try:
        for section, kind in (("clusters", "cluster"), ("users", "user")):
            for entry in document.get(section) or ():
                fields = entry[kind]
                for name in _PATHS.intersection(fields or ()):
                    fields[name] = str(path.resolve().parent / fields[name])
    except (KeyError, TypeError) as error:
        raise ConfigError(f"kubeconfig {path}: {error}") from error
    return document


def _merged(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """One document of several: of entries with one name, and of current contexts, the first counts."""
    merged: dict[str, Any] = {
        "current-context": next((d["current-context"] for d in documents if d.get("current-context")), None)
    }
    for section in ("clusters", "contexts", "users"):
        named: dict[str, Any] = {}
        for document in documents:
            for entry in document.get(section) or ():
                named.setdefault(entry["name"], entry)
        merged[section] = list(named.values())
    return merged


def _from_files(paths: list[Path], context: str | None, cluster: str, user: str) -> ClientConfig:
    # lightkube brings httpx along (60 ms, 9 MB): only who reads a kubeconfig pays for it.
    from lightkube.config.kubeconfig import KubeConfig, SingleConfig
    from lightkube.config.models import Context
    from lightkube.core.exceptions import ConfigError as LightkubeConfigError

    told = ":".join(str(path) for path in paths)
    documents = [_read(path) for path in paths]
    try:
        document = _merged(documents)
        known = KubeConfig.from_dict(document, fname=paths[0].resolve())
        if cluster and not (context or known.current_context):
            single = SingleConfig("", Context(cluster=cluster, user=user or None), known.clusters[cluster])
        else:
            found = known.get(context)
            assert found is not None
            single = found
        if cluster:
            single = single._replace(cluster=_entry(known.clusters, "cluster", cluster))
        if user:
            single = single._replace(user=_entry(known.users or {}, "user", user))
    except (LightkubeConfigError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"kubeconfig {told}: {error}") from error
    # The library does not know these fields.
    raw_cluster = _raw(document["clusters"], "cluster", cluster or single.context.cluster)
    raw_user = _raw(document["users"], "user", user or single.context.user or "")
    return _from_single(single, raw_cluster.get("tls-server-name"), _impersonation(raw_user))


def _entry(known: Mapping[str, T], kind: str, name: str) -> T:
    if name not in known:
        raise ValueError(f"there is no {kind} {name!r}; there are {', '.join(sorted(known)) or 'none'}")
    return known[name]


def _raw(entries: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next((entry[kind] or {} for entry in entries if entry["name"] == name), {})


def _impersonation(user: Mapping[str, Any]) -> Impersonation | None:
    if not user.get("as"):
        return None
    extra = tuple((key, value) for key, values in (user.get("as-user-extra") or {}).items() for value in values)
    return Impersonation(user["as"], user.get("as-uid") or "", tuple(user.get("as-groups") or ()), extra)


def _from_single(
    single: "SingleConfig", server_name: str | None, impersonate: Impersonation | None = None
) -> ClientConfig:
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
        impersonate=impersonate,
        namespace=single.namespace,
        context=single.context_name,
        **credentials,
    )
