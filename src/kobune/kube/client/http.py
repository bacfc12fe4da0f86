"""The client that talks HTTP to any Kubernetes API server.

Owns: what each verb sends and how its answer is read; `transport` has the connections.
Must not: retry on its own; callers own their back-off.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from kobune.api.meta import ObjectMeta
from kobune.base.clock import Clock
from kobune.kube.client.config import ClientConfig
from kobune.kube.client.decoding import decode_list, decode_object, decode_watch_line
from kobune.kube.client.errors import Unavailable
from kobune.kube.client.objects import metadata_of
from kobune.kube.client.resource import Resource
from kobune.kube.client.status import connection_error, timeout_error
from kobune.kube.client.transport import Transport, lines
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
        self._timeout_s = timeout_s
        self._transport = Transport(config, user_agent, clock, warn)

    @property
    def requests(self) -> int:
        """How many requests were sent; benchmarks read it."""
        return self._transport.requests

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
        response = await self._transport.send("GET", resource.path(namespace), query, None, _JSON, limit)
        try:
            async for line in lines(response, request, WATCH_LINE_LIMIT):
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
        response = await self._transport.send(method, path, query, body, content_type, limit)
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
        return await self._transport.connect_websocket(
            path,
            protocols,
            query,
            timeout_s=timeout_s if timeout_s is not None else self._timeout_s,
            heartbeat_s=heartbeat_s,
            max_message_bytes=max_message_bytes,
        )

    async def close(self) -> None:
        """Release connections."""
        await self._transport.close()


def encode_object(resource: Resource[Any], obj: Any) -> tuple[bytes, ObjectMeta]:
    """The JSON of `obj` with apiVersion and kind filled in, and its metadata."""
    document = obj if isinstance(obj, dict) else msgspec.to_builtins(obj)
    typed = {"apiVersion": resource.api_version, "kind": resource.kind}
    return msgspec.json.encode(typed | document), metadata_of(document)


def _compact(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
