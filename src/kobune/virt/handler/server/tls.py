"""The server's TLS: certificate, key and the authority of clients, from a Secret, taken over when it changes.

Owns: the SSL context and the check of the client's name. Key files live in the state directory, mode 0600, because
OpenSSL loads them by path.
"""

import asyncio
import base64
import logging
import ssl
from pathlib import Path
from typing import Final

from kobune.api.core import Secret
from kobune.host.files import write_file

__all__ = ["CLIENT_NAMES", "SECRET_NAME", "SECRET_NAMESPACE", "ServerTls", "client_name"]

log = logging.getLogger(__name__)

SECRET_NAMESPACE: Final = "kobune"  # noqa: S105 - a name
SECRET_NAME: Final = "kobune-virt-handler-server-certs"  # noqa: S105 - a name
CLIENT_NAMES: Final = frozenset({"kubevirt.io:system:client:virt-handler"})
"""Common names that may call us: whoever holds the Secret kobune-virt-handler-client-certs."""


class ServerTls:
    """An SSL context that follows a Secret of type kubernetes.io/tls with a `ca.crt` beside certificate and key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, str] | None = None
        self._ready = asyncio.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.verify_mode = ssl.CERT_REQUIRED

    async def wait_ready(self) -> None:
        """Wait for the first certificate; cancelled by the caller's own limit."""
        await self._ready.wait()

    def take(self, _: Secret | None, secret: Secret | None) -> None:
        """An informer's handler: load what the Secret holds; a broken one is logged and the last good one stays."""
        if secret is None or secret.data == self._loaded:
            return
        try:
            parts = {name: base64.b64decode(secret.data[name]) for name in ("tls.crt", "tls.key", "ca.crt")}
            certificate = self._write("tls.crt", parts["tls.crt"])
            key = self._write("tls.key", parts["tls.key"])
            self.context.load_cert_chain(certificate, key)
            self.context.load_verify_locations(cadata=parts["ca.crt"].decode())
        except (KeyError, ValueError, OSError) as error:
            log.error("Secret %s/%s has no usable certificate: %s", SECRET_NAMESPACE, SECRET_NAME, error)
            return
        self._loaded = dict(secret.data)
        self._ready.set()

    def _write(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        write_file(path, data)
        return path


def client_name(transport: asyncio.BaseTransport | None) -> str:
    """The common name of the client's verified certificate; empty without one."""
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    certificate = connection.getpeercert() if connection is not None else None
    for attributes in (certificate or {}).get("subject", ()):
        for name, value in attributes:
            if name == "commonName":
                return str(value)
    return ""
