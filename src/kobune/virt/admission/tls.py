"""TLS of virt-api: its own certificate, the front proxy's authority, and its certificate as virt-handler's client.

Owns: SSL contexts that follow their Secrets without a restart.
"""

import base64
import logging
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ClientTls", "ServerTls"]

log = logging.getLogger(__name__)


class ServerTls:
    """The server's context. Client certificates are asked for, not required: webhook callers show none."""

    def __init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded: Mapping[str, str] | None = None
        self._trusted: str | None = None

    def take_certificate(self, data: Mapping[str, str]) -> None:
        """Use the pair of a kubernetes.io/tls Secret's `data` for new connections. Raises ValueError."""
        if data != self._loaded:
            _load_pair(self.context, data)
            self._loaded = dict(data)

    def trust_clients(self, ca_pem: str) -> None:
        """Verify client certificates against that authority as well."""
        if ca_pem != self._trusted:
            self.context.load_verify_locations(cadata=ca_pem)
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self._trusted = ca_pem


class ClientTls:
    """The context for connections to virt-handlers."""

    def __init__(self) -> None:
        self.context: ssl.SSLContext | None = None
        self._loaded: Mapping[str, str] | None = None

    def take_certificate(self, data: Mapping[str, str]) -> None:
        """Use the pair and the authority of a Secret's `data` from now on. Raises ValueError."""
        if data == self._loaded:
            return
        context = ssl.create_default_context(cadata=_part(data, "ca.crt").decode())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load_pair(context, data)
        self.context, self._loaded = context, dict(data)


def _load_pair(context: ssl.SSLContext, data: Mapping[str, str]) -> None:
    """OpenSSL takes files only; they live for the moment of loading, in a private directory."""
    with tempfile.TemporaryDirectory(prefix="kobune-tls-") as folder:
        paths = []
        for name in ("tls.crt", "tls.key"):
            path = Path(folder) / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_part(data, name))
            paths.append(path)
        try:
            context.load_cert_chain(paths[0], paths[1])
        except ssl.SSLError as error:
            raise ValueError(f"unusable certificate: {error}") from error


def _part(data: Mapping[str, str], name: str) -> bytes:
    try:
        return base64.b64decode(data[name], validate=True)
    except KeyError:
        raise ValueError(f"{name} is missing") from None
