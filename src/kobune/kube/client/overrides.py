"""What a command line says about the API, on top of a kubeconfig: kubectl's options. Pure but for reading the files."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kobune.kube.client.config import ClientConfig, ConfigError, Impersonation

__all__ = ["Overrides", "overridden"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Fields are named as kubectl's options; an empty one was not given. Certificates are paths of PEM files."""

    server: str = ""
    certificate_authority: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    token: str = ""
    username: str = ""
    password: str = ""
    client_certificate: str = ""
    client_key: str = ""
    as_user: str = ""
    as_uid: str = ""
    as_groups: tuple[str, ...] = ()


def overridden(config: ClientConfig, given: Overrides) -> ClientConfig:
    """`config` as the command line wants it.

    Credentials that are given replace all of the kubeconfig's, so that a token is never shadowed by a certificate.
    Raises ConfigError, naming the option.
    """
    changes: dict[str, Any] = {}
    if given.server:
        address = given.server.rstrip("/")
        changes["server"] = address if "://" in address else f"https://{address}"
    if given.insecure_skip_tls_verify:
        if given.certificate_authority:
            raise ConfigError("--insecure-skip-tls-verify and --certificate-authority exclude each other")
        changes |= {"insecure": True, "ca_pem": None}
    if given.certificate_authority:
        authority = _pem("--certificate-authority", given.certificate_authority)
        changes |= {"ca_pem": authority, "insecure": False}
    if given.tls_server_name:
        changes["tls_server_name"] = given.tls_server_name
    changes |= _credentials(config, given) | _impersonation(config, given)
    return replace(config, **changes)


def _credentials(config: ClientConfig, given: Overrides) -> dict[str, Any]:
    if bool(given.client_certificate) != bool(given.client_key):
        raise ConfigError("--client-certificate and --client-key go together: give both")
    if bool(given.username) != bool(given.password):
        raise ConfigError("--username and --password go together: give both")
    if not (given.token or given.username or given.client_certificate):
        return {}
    return {
        "token": given.token or None,
        "token_file": None,
        "exec_plugin": None,
        "basic": (given.username, given.password) if given.username else None,
        "client_certificate_pem": _pem("--client-certificate", given.client_certificate),
        "client_key_pem": _pem("--client-key", given.client_key),
    }


def _impersonation(config: ClientConfig, given: Overrides) -> dict[str, Any]:
    if not (given.as_user or given.as_uid or given.as_groups):
        return {}
    before = config.impersonate or Impersonation()
    if not (given.as_user or before.user):
        raise ConfigError("--as-group and --as-uid need a user: add --as USER")
    return {
        "impersonate": replace(
            before,
            user=given.as_user or before.user,
            uid=given.as_uid or before.uid,
            groups=given.as_groups or before.groups,
        )
    }


def _pem(option: str, path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ConfigError(f"{option}: cannot read {path}: {error.strerror or error}") from error
