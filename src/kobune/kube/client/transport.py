"""Connections to one Kubernetes API server: a request is sent, with credentials, and its failure becomes an `ApiError`.

Must not: know resources. Sends again only what was refused for credentials that can be renewed.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kobune.base.clock import Clock
from kobune.kube.client.config import ClientConfig
from kobune.kube.client.credentials import Credentials
from kobune.kube.client.errors import ApiError, UnexpectedStatus
from kobune.kube.client.status import connection_error, error_from_response, timeout_error

__all__ = ["Transport", "lines"]

log = logging.getLogger(__name__)

_JSON: Final = "application/json"


class Transport:
    """One session; safe for concurrent use in one loop. `requests` counts what was sent."""

    def __init__(
        self, config: ClientConfig, user_agent: str, clock: Clock | None, warn: Callable[[str], None] | None
    ) -> None:
        self.config = config
        self.requests = 0
        self._credentials = Credentials(config, clock)
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._warned: set[str] = set()
        self._warn = warn or (lambda text: log.warning("server warning: %s", text))

    async def send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: bytes | None,
        content_type: str,
        limit: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Send, once more after renewing refused credentials; the caller releases the response."""
        began_s = time.monotonic()
        response = await self._send_once(method, path, query, body, content_type, limit)
        log.debug("%s %s %d in %.0f ms", method, response.url, response.status, (time.monotonic() - began_s) * 1000)
        if response.status == 401 and self._credentials.refused():
            response.release()
            response = await self._send_once(method, path, query, body, content_type, limit)
        self._log_warnings(response)
        if response.status >= 400:
            try:
                text = await response.read()
            except (aiohttp.ClientError, OSError, TimeoutError):
                text = b""
            finally:
                response.release()
            raise error_from_response(response.status, text, response.headers.get("Retry-After"), f"{method} {path}")
        return response

    async def connect_websocket(
        self,
        path: str,
        protocols: Sequence[str],
        query: Mapping[str, str] | Sequence[tuple[str, str]] | None,
        *,
        timeout_s: float,
        heartbeat_s: float | None,
        max_message_bytes: int,
    ) -> aiohttp.ClientWebSocketResponse:
        """See `HttpClient.connect_websocket`."""
        session = self._open_session()
        url = self._url(path, query)
        headers = await self._credentials.headers()
        tls = await self._credentials.tls()
        request = f"CONNECT {path}"
        self.requests += 1
        try:
            async with asyncio.timeout(timeout_s):
                return await session.ws_connect(
                    url,
                    protocols=tuple(protocols),
                    headers=headers,
                    ssl=tls if tls is not None else True,
                    server_hostname=self.config.tls_server_name,
                    heartbeat=heartbeat_s,
                    max_msg_size=max_message_bytes,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise await self._refused_upgrade(url, headers, tls, protocols, request, error, timeout_s) from error
        except TimeoutError as error:
            raise timeout_error(request, timeout_s) from error
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(request, error) from error

    async def close(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _refused_upgrade(
        self,
        url: URL,
        headers: CIMultiDict[str],
        tls: ssl.SSLContext | None,
        protocols: Sequence[str],
        request: str,
        error: aiohttp.WSServerHandshakeError,
        timeout_s: float,
    ) -> ApiError:
        """The reason of a refused upgrade: the library drops the body, so the same handshake is asked again."""
        upgrade = CIMultiDict(headers)
        upgrade.update(
            {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "a29idW5lLWtvYnVuZS0wMQ==",
                "Sec-WebSocket-Protocol": ", ".join(protocols),
            }
        )
        try:
            async with self._open_session().get(
                url,
                headers=upgrade,
                ssl=tls if tls is not None else True,
                server_hostname=self.config.tls_server_name,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                if response.status >= 400:
                    return error_from_response(
                        response.status, await response.read(), response.headers.get("Retry-After"), request
                    )
                response.close()
        except (aiohttp.ClientError, OSError, TimeoutError) as second:
            log.debug("%s: %s", request, second)
        return UnexpectedStatus(error.status, "UpgradeRefused", f"{request}: {error.message}")

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No limit: each watch holds a connection, and a request must never wait for one of them to end.
            connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": self._user_agent, "Accept": _JSON},
                auto_decompress=True,
                skip_auto_headers=("Content-Type",),
            )
        return self._session

    def _url(self, path: str, query: Mapping[str, str] | Sequence[tuple[str, str]] | None) -> URL:
        suffix = f"?{urlencode(query)}" if query else ""
        return URL(f"{self.config.server}{path}{suffix}", encoded=True)

    async def _send_once(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: bytes | None,
        content_type: str,
        limit: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = await self._credentials.headers()
        if body is not None:
            headers["Content-Type"] = content_type
        tls = await self._credentials.tls()
        self.requests += 1
        try:
            return await self._open_session().request(
                method,
                self._url(path, query),
                data=body,
                headers=headers,
                ssl=tls if tls is not None else True,
                server_hostname=self.config.tls_server_name,
                timeout=limit,
                allow_redirects=False,
            )
        except TimeoutError as error:
            raise timeout_error(f"{method} {path}", limit.total) from error
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(f"{method} {path}", error) from error

    def _log_warnings(self, response: aiohttp.ClientResponse) -> None:
        """Each text once per process, as clients of Kubernetes do: `299 - "text"`."""
        for value in response.headers.getall("Warning", ()):
            if value not in self._warned and len(self._warned) < 1000:
                self._warned.add(value)
                self._warn(value.removeprefix("299 - ").strip('"'))


async def lines(response: aiohttp.ClientResponse, request: str, limit_bytes: int) -> AsyncIterator[bytes]:
    """The lines of a streaming body. aiohttp's own line reader stops at its buffer size.

    Raises UnexpectedStatus for a line of more than `limit_bytes`.
    """
    pending = bytearray()
    async for chunk in response.content.iter_any():
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            line = bytes(pending) + chunk[start:end]
            pending.clear()
            start = end + 1
            if line.strip():
                yield line
        pending += chunk[start:]
        if len(pending) > limit_bytes:
            raise UnexpectedStatus(0, "TooLong", f"{request}: an event is longer than {limit_bytes} bytes")
