"""The client that talks HTTP to any Kubernetes API server.

Owns: connections, time limits, encoding of requests, and turning every failure into an `ApiError`.
Must not: retry on its own but for refused credentials that can be renewed; callers own their back-off.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from kobune.api.meta import ObjectMeta
from kobune.base.clock import Clock
from kobune.kube.client.config import ClientConfig
from kobune.kube.client.credentials import Credentials
from kobune.kube.client.decoding import decode_list, decode_object, decode_watch_line
from kobune.kube.client.errors import ApiError, Unavailable, UnexpectedStatus
from kobune.kube.client.objects import metadata_of
from kobune.kube.client.resource import Resource
from kobune.kube.client.status import connection_error, error_from_response, timeout_error
from kobune.kube.client.types import ListResult, Patch, PatchType, Preconditions, Propagation, WatchEvent

__all__ = ["HttpClient", "encode_object"]

T = TypeVar("T")

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S: Final = 30.0
WATCH_LINE_LIMIT: Final = 16 * 1024 * 1024
"""Longest watch event in bytes; etcd's own limit for an object is 1.5 MiB."""
_WATCH_GRACE_S: Final = 15.0
_JSON: Final = "application/json"


class HttpClient:
    """Keeps `kobune.kube.client.protocol.Client` over HTTP. One per process; safe for concurrent use in one loop."""

    def __init__(
        self,
        config: ClientConfig,
        *,
        user_agent: str = "kobune",
        timeout_s: float = DEFAULT_TIMEOUT_S,
        clock: Clock | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """`warn` is told what the server warns of, each text once; without it, the log is."""
        self.config = config
        self.requests = 0
        """How many requests were sent; benchmarks read it."""
        self._credentials = Credentials(config, clock)
        self._user_agent = user_agent
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._warned: set[str] = set()
        self._warn = warn or (lambda text: log.warning("server warning: %s", text))

    async def get(self, resource: Resource[T], name: str, namespace: str = "") -> T:
        """One object; `NotFound` when there is none."""
        return decode_object(resource, await self.raw("GET", resource.path(namespace, name)))

    async def list(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ListResult[T]:
        """One page, or everything when `limit` is 0."""
        query = _compact(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            limit=str(limit) if limit else "",
        )
        query |= {"continue": continue_token} if continue_token else {}
        return decode_list(resource, await self.raw("GET", resource.path(namespace), query=query))

    async def watch(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: float = 300.0,
    ) -> AsyncIterator[WatchEvent[T]]:
        """Changes after `resource_version`; ends after `timeout_s` or when the server closes, raises `Expired`."""
        query = _compact(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            timeoutSeconds=str(max(1, int(timeout_s))),
        )
        # The server ends the watch; our own limit only catches one that does not.
        limit = aiohttp.ClientTimeout(total=timeout_s + _WATCH_GRACE_S, sock_connect=self._timeout_s)
        request = f"WATCH {resource.path(namespace)}"
        response = await self._send("GET", resource.path(namespace), query, None, _JSON, limit)
        try:
            async for line in _lines(response, request):
                event = decode_watch_line(resource, line)
                if event is not None:
                    yield event
        except TimeoutError as error:
            raise timeout_error(request, timeout_s + _WATCH_GRACE_S) from error
        except aiohttp.ClientPayloadError as error:
            raise Unavailable(0, "ConnectionFailed", f"{request}: the connection broke off") from error
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(request, error) from error
        finally:
            response.close()

    async def create(self, resource: Resource[T], obj: T | dict[str, Any], namespace: str = "") -> T:
        """Create; `AlreadyExists` when the name is taken."""
        body, metadata = encode_object(resource, obj)
        path = resource.path(namespace or metadata.namespace)
        return decode_object(resource, await self.raw("POST", path, body=body))

    async def replace(
        self, resource: Resource[T], obj: dict[str, Any], namespace: str = "", *, subresource: str = ""
    ) -> T:
        """PUT a whole object."""
        body, metadata = encode_object(resource, obj)
        path = resource.path(namespace or metadata.namespace, metadata.name, subresource)
        return decode_object(resource, await self.raw("PUT", path, body=body))

    async def patch(
        self, resource: Resource[T], name: str, patch: Patch, namespace: str = "", *, subresource: str = ""
    ) -> T:
        """PATCH an object or one of its subresources."""
        body = msgspec.json.encode(patch.body)
        path = resource.path(namespace, name, subresource)
        return decode_object(resource, await self.raw("PATCH", path, body=body, content_type=patch.type))

    async def apply(
        self,
        resource: Resource[T],
        obj: dict[str, Any],
        namespace: str = "",
        *,
        field_manager: str,
        force: bool = False,
        subresource: str = "",
    ) -> T:
        """Server-side apply of the fields that `field_manager` owns."""
        body, metadata = encode_object(resource, obj)
        path = resource.path(namespace or metadata.namespace, metadata.name, subresource)
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        answer = await self.raw("PATCH", path, query=query, body=body, content_type=PatchType.APPLY)
        return decode_object(resource, answer)

    async def delete(
        self,
        resource: Resource[T],
        name: str,
        namespace: str = "",
        *,
        preconditions: Preconditions | None = None,
        grace_period_s: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Delete; returns once the server has accepted it."""
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if preconditions is not None:
            options["preconditions"] = _compact(
                uid=preconditions.uid or "", resourceVersion=preconditions.resource_version or ""
            )
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation is not None:
            options["propagationPolicy"] = propagation.value
        await self.raw("DELETE", resource.path(namespace, name), body=msgspec.json.encode(options))

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = _JSON,
        timeout_s: float | None = None,
    ) -> bytes:
        """The body of a 2xx answer, else `ApiError`."""
        limit_s = timeout_s if timeout_s is not None else self._timeout_s
        limit = aiohttp.ClientTimeout(total=limit_s)
        response = await self._send(method, path, query, body, content_type, limit)
        try:
            return await response.read()
        except TimeoutError as error:
            raise timeout_error(f"{method} {path}", limit_s) from error
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(f"{method} {path}", error) from error
        finally:
            response.release()

    async def connect_websocket(
        self,
        path: str,
        *,
        protocols: Sequence[str] = (),
        query: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        timeout_s: float | None = None,
        heartbeat_s: float | None = 30.0,
        max_message_bytes: int = WATCH_LINE_LIMIT,
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket (exec, attach, console, ...); close it with `await socket.close()`. Raises `ApiError`."""
        session = self._open_session()
        url = self._url(path, query)
        headers = await self._credentials.headers()
        tls = await self._credentials.tls()
        request = f"CONNECT {path}"
        limit_s = timeout_s if timeout_s is not None else self._timeout_s
        self.requests += 1
        try:
            async with asyncio.timeout(limit_s):
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
            raise await self._refused_upgrade(url, headers, tls, protocols, request, error) from error
        except TimeoutError as error:
            raise timeout_error(request, limit_s) from error
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
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
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

    async def _send(
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


def encode_object(resource: Resource[Any], obj: Any) -> tuple[bytes, ObjectMeta]:
    """The JSON of `obj` with apiVersion and kind filled in, and its metadata."""
    document = obj if isinstance(obj, dict) else msgspec.to_builtins(obj)
    typed = {"apiVersion": resource.api_version, "kind": resource.kind}
    return msgspec.json.encode(typed | document), metadata_of(document)


def _compact(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


async def _lines(response: aiohttp.ClientResponse, request: str) -> AsyncIterator[bytes]:
    """The lines of a streaming body. aiohttp's own line reader stops at its buffer size."""
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
        if len(pending) > WATCH_LINE_LIMIT:
            raise UnexpectedStatus(0, "TooLong", f"{request}: an event is longer than {WATCH_LINE_LIMIT} bytes")
