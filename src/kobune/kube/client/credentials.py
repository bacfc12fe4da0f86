"""Who we are on each request: tokens, token files, exec plugins and client certificates.

Owns: the Authorization header and the TLS context. A token file is read again when it changed, an exec plugin is run
again when its credentials expire or were refused.
"""

import asyncio
import base64
import json
import os
import ssl
from asyncio import sslproto
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from multidict import CIMultiDict

from kobune.base.clock import Clock, parse_time
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.config import ClientConfig, ConfigError, ExecPlugin, Impersonation

__all__ = ["Credentials"]

TLS_BUFFER_BYTES = 32 * 1024
"""Two TLS records."""
_EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_EXEC_TIMEOUT_S = 60.0
_EXPIRY_MARGIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _ExecResult:
    token: str | None
    certificate_pem: bytes | None
    key_pem: bytes | None
    expires: datetime | None


class Credentials:
    """Gives the headers and the TLS context of a request, fresh enough for it."""

    def __init__(self, config: ClientConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._lock = asyncio.Lock()
        self._exec: _ExecResult | None = None
        self._tls: ssl.SSLContext | None = None
        self._file_token: tuple[int, str] | None = None

    async def headers(self) -> CIMultiDict[str]:
        """Who we are and in whose name we ask. Raises ConfigError when credentials cannot be had."""
        headers: CIMultiDict[str] = CIMultiDict()
        if authorization := await self._authorization():
            headers["Authorization"] = authorization
        for name, value in _impersonation_headers(self._config.impersonate):
            headers.add(name, value)
        return headers

    async def _authorization(self) -> str:
        config = self._config
        if config.token_file is not None:
            return f"Bearer {self._read_token_file()}"
        if config.token:
            return f"Bearer {config.token}"
        if config.exec_plugin is not None:
            result = await self._run_plugin_if_due(config.exec_plugin)
            return f"Bearer {result.token}" if result.token else ""
        if config.basic is not None:
            return "Basic " + base64.b64encode(":".join(config.basic).encode()).decode()
        return ""

    async def tls(self) -> ssl.SSLContext | None:
        """The TLS context, None for a plain http server. Raises ConfigError."""
        if not self._config.server.startswith("https:"):
            return None
        if self._config.exec_plugin is not None:
            await self._run_plugin_if_due(self._config.exec_plugin)
        if self._tls is None:
            # asyncio gives each TLS connection a buffer of 256 KiB at once; a process with sixty watches feels it.
            sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
            certificate, key = self._config.client_certificate_pem, self._config.client_key_pem
            if self._exec is not None and self._exec.certificate_pem is not None:
                certificate, key = self._exec.certificate_pem, self._exec.key_pem
            self._tls = tls_context(
                ca_pem=self._config.ca_pem, insecure=self._config.insecure, certificate_pem=certificate, key_pem=key
            )
        return self._tls

    def refused(self) -> bool:
        """Forget what a 401 refused; True when asking again can give something else."""
        self._file_token = None
        if self._exec is not None:
            self._exec = None
            return True
        return self._config.token_file is not None

    def _read_token_file(self) -> str:
        path = self._config.token_file
        assert path is not None
        try:
            changed_ns = path.stat().st_mtime_ns
            if self._file_token is None or self._file_token[0] != changed_ns:
                self._file_token = (changed_ns, path.read_text().strip())
        except OSError as error:
            raise ConfigError(f"cannot read token file: {error}") from error
        return self._file_token[1]

    async def _run_plugin_if_due(self, plugin: ExecPlugin) -> _ExecResult:
        async with self._lock:
            known = self._exec
            if known is None or (known.expires is not None and known.expires - _EXPIRY_MARGIN <= self._clock.now()):
                fresh = await _run_plugin(plugin)
                if known is None or fresh.certificate_pem != known.certificate_pem:
                    self._tls = None
                self._exec = known = fresh
            return known


def _impersonation_headers(who: Impersonation | None) -> Iterator[tuple[str, str]]:
    """As kube-apiserver reads them; a key of extra fields is percent-encoded."""
    if who is None or not who.user:
        return
    yield "Impersonate-User", who.user
    if who.uid:
        yield "Impersonate-Uid", who.uid
    for group in who.groups:
        yield "Impersonate-Group", group
    for key, value in who.extra:
        yield f"Impersonate-Extra-{quote(key, safe='')}", value


async def _run_plugin(plugin: ExecPlugin) -> _ExecResult:
    if plugin.api_version not in _EXEC_VERSIONS:
        raise ConfigError(f"credential plugin {plugin.command}: apiVersion {plugin.api_version} is not supported")
    request = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": json.dumps(request)}
    try:
        process = await asyncio.create_subprocess_exec(
            plugin.command,
            *plugin.args,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        hint = f" {plugin.install_hint}" if plugin.install_hint else ""
        raise ConfigError(f"credential plugin {plugin.command}: {error}.{hint}") from error
    try:
        async with asyncio.timeout(_EXEC_TIMEOUT_S):
            stdout, stderr = await process.communicate()
    except TimeoutError:
        raise ConfigError(f"credential plugin {plugin.command}: no answer within {_EXEC_TIMEOUT_S} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        tail = stderr[-500:].decode("utf-8", "replace").strip()
        raise ConfigError(f"credential plugin {plugin.command} ended with {process.returncode}: {tail}")
    try:
        status = json.loads(stdout)["status"]
        certificate = status.get("clientCertificateData")
        key = status.get("clientKeyData")
        expires = status.get("expirationTimestamp")
        return _ExecResult(
            status.get("token"),
            certificate.encode() if certificate else None,
            key.encode() if key else None,
            parse_time(expires) if expires else None,
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"credential plugin {plugin.command} printed no ExecCredential: {error}") from error


def tls_context(
    *, ca_pem: bytes | None, insecure: bool, certificate_pem: bytes | None, key_pem: bytes | None
) -> ssl.SSLContext:
    """A client-side context; without `ca_pem` the system's authorities are trusted. Raises ConfigError."""
    try:
        context = ssl.create_default_context(cadata=ca_pem.decode() if ca_pem else None)
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate_pem is not None:
            # OpenSSL's API wants a file: one that exists in memory only keeps the key off the disk.
            descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
            try:
                os.write(descriptor, certificate_pem + b"\n" + (key_pem or b""))
                context.load_cert_chain(f"/proc/self/fd/{descriptor}")
            finally:
                os.close(descriptor)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"certificates of the kubeconfig: {error}") from error
    return context
