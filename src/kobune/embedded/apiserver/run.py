"""The composition of the API server: configuration in, a running server until `stop` is set.

Owns: the order of start and stop, the files under DATA (kubeconfig, pki/, store.db, admin.token).
"""

import asyncio
import base64
import contextlib
import logging
import secrets
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kobune.embedded.apiserver.compose import Server, compose
from kobune.embedded.apiserver.http import HttpServer, PortInUse, reserve
from kobune.embedded.apiserver.kubernetes_service import publish
from kobune.embedded.apiserver.memory import return_large_blocks, settle
from kobune.embedded.apiserver.pki import Pki, issue_client_certificate, issue_server_certificate
from kobune.embedded.store import MemoryJournal, RevisionLog, SqliteJournal
from kobune.host.files import write_file

__all__ = [
    "ApiServerConfig",
    "PortInUse",
    "Running",
    "issue_client_certificate",
    "issue_server_certificate",
    "run",
    "serve",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ApiServerConfig:
    """How to run. `listen_port` 0 takes a free one.

    `service_endpoints` maps NAMESPACE/NAME of a Service to HOST:PORT where webhooks and APIServices find it.
    """

    data_dir: Path
    listen_host: str = "127.0.0.1"
    listen_port: int = 6443
    service_endpoints: dict[str, str] = field(default_factory=dict)
    in_memory: bool = False
    """Keep objects in memory only (tests); PKI and kubeconfig are files all the same."""
    extra_hosts: tuple[str, ...] = ()
    """More names and addresses for the serving certificate."""
    audit_log: Path | None = None
    """Where requests that may change something are written to, one a line; None: nowhere."""


@dataclass(frozen=True, slots=True)
class Running:
    """A started server."""

    url: str
    port: int
    kubeconfig: Path
    token: str
    ca_file: Path
    server: Server


async def run(
    config: ApiServerConfig,
    *,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set. Raises PortInUse, StoreInUse, NewerVersion, Corrupt before anything is changed."""
    async with serve(config) as running:
        settle()
        log.info("the API is served at %s", running.url)
        if ready is not None:
            ready.set()
        await stop.wait()
        log.info("stopping")


@contextlib.asynccontextmanager
async def serve(config: ApiServerConfig) -> AsyncIterator[Running]:
    """A running server as a context."""
    return_large_blocks()
    listening = reserve(config.listen_host, config.listen_port)
    try:
        async with _stored(config, listening) as running:
            yield running
    finally:
        listening.close()


@contextlib.asynccontextmanager
async def _stored(config: ApiServerConfig, listening: socket.socket) -> AsyncIterator[Running]:
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal = MemoryJournal() if config.in_memory else SqliteJournal(config.data_dir / "store.db")
    revision_log = RevisionLog(journal)
    pki = Pki(config.data_dir / "pki")
    server = compose(revision_log, lambda: pki)
    server.storage.open()
    try:
        hosts = {config.listen_host, *config.extra_hosts} - {"0.0.0.0", "::"}  # noqa: S104 - compared
        pki.prepare(hosts)
        token = _admin_token(config.data_dir)
        application = await server.build(pki, token, config.service_endpoints, config.audit_log)
        http = HttpServer(application, _tls(pki))
        await http.serve_on(listening)
        try:
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.listen_host, config.listen_host)  # noqa: S104
            url = f"https://[{host}]:{http.port}" if ":" in host else f"https://{host}:{http.port}"
            await publish(server.storage, config.listen_host, http.port)
            await server.start(url)
            kubeconfig = config.data_dir / "kubeconfig"
            write_file(kubeconfig, _kubeconfig(url, pki.ca_pem, token))
            yield Running(url, http.port, kubeconfig, token, pki.ca_file, server)
        finally:
            await http.stop()
            await server.stop()
    finally:
        await revision_log.close()


def _admin_token(data_dir: Path) -> str:
    path = data_dir / "pki" / "admin.token"
    if path.exists():
        return path.read_text().strip()
    token = secrets.token_urlsafe(32)
    write_file(path, token.encode())
    return token


def _tls(pki: Pki) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pki.server_cert_file, pki.server_key_file)
    context.load_verify_locations(pki.ca_file)
    # Certificates are one way to authenticate: asked for, never demanded.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def _kubeconfig(url: str, ca: bytes, token: str) -> bytes:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "kobune",
                "cluster": {"server": url, "certificate-authority-data": base64.b64encode(ca).decode()},
            }
        ],
        "users": [{"name": "kobune-admin", "user": {"token": token}}],
        "contexts": [{"name": "kobune", "context": {"cluster": "kobune", "user": "kobune-admin"}}],
        "current-context": "kobune",
    }
    return yaml.safe_dump(document).encode()
