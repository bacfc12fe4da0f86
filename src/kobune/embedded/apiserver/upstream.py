"""Calls to other servers: webhooks, aggregated APIs, kubelets. HTTP/1.1 over TLS, streaming, upgrades passed through.

Owns: one connection per call, its time limits and back-pressure. An answer is read in pieces of what the network
gives; while our own client reads slowly, reading from the other server stops.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools

from kobune.base.errors import RetryableError
from kobune.embedded.apiserver.http.message import (
    AnyResponse,
    Request,
    Stream,
    StreamingResponse,
    Transport,
    TunnelResponse,
)

__all__ = ["Target", "UpstreamError", "call", "proxy"]

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "host",
        "content-length",
        "expect",
    }
)
_PENDING_HIGH = 256 * 1024
_ERROR_TEXT = 50_000


class UpstreamError(RetryableError):
    """The other server can't be reached, broke off, or was too slow."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. `tls` is None for plain HTTP; `server_name` is what the certificate must be for."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str
    authority: str = ""
    """The Host header; `server_name` when empty."""
    headers: Sequence[tuple[str, str]] = field(default=())


class _Exchange(asyncio.Protocol):
    """One request and its answer on a fresh connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.head: asyncio.Future[int] = self._loop.create_future()
        self.headers: list[tuple[str, str]] = []
        self.reason = ""
        self.pieces: list[bytes] = []
        self.size = 0
        self.complete = False
        self.lost: Exception | None = None
        self.upgraded = False
        self.on_progress: Callable[[], None] | None = None
        self.on_raw: Callable[[bytes], None] | None = None
        self.on_pause: Callable[[bool], None] | None = None
        self.raw: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.upgraded:
            self._raw(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._fail(UpstreamError(f"the answer is no HTTP: {error}"))
            self.transport.abort()

    def _upgrade(self, rest: bytes) -> None:
        self.upgraded = True
        if not self.head.done():
            self.head.set_result(101)
        if rest:
            self._raw(rest)

    def _raw(self, data: bytes) -> None:
        if self.on_raw is not None:
            self.on_raw(data)
        else:
            self.raw.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.complete:
            if self.head.done() and exc is None and not self._has_length():
                self.complete = True  # the end of the connection is the end of the body
            else:
                self._fail(UpstreamError(f"the connection broke: {exc or 'closed by the other side'}"))
        self._progress()

    def _has_length(self) -> bool:
        names = {name for name, _ in self.headers}
        return bool(names & {"content-length", "transfer-encoding"})

    def _fail(self, error: Exception) -> None:
        self.lost = error
        if not self.head.done():
            self.head.set_exception(error)
        self._progress()

    def pause_writing(self) -> None:
        if self.on_pause is not None:
            self.on_pause(True)

    def resume_writing(self) -> None:
        if self.on_pause is not None:
            self.on_pause(False)

    def on_status(self, status: bytes) -> None:
        self.reason = status.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 101:
            self._upgrade(b"")
        elif status >= 200 and not self.head.done():
            self.head.set_result(status)
        elif status < 200:
            self.headers.clear()

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)
        self.size += len(body)
        self._progress()

    def on_message_complete(self) -> None:
        if self.head.done():
            self.complete = True
            self._progress()

    def _progress(self) -> None:
        if self.on_progress is not None:
            self.on_progress()

    def take(self) -> bytes:
        """The body received since the last call."""
        data = b"".join(self.pieces)
        self.pieces.clear()
        self.size = 0
        return data


async def _open(
    target: Target, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes, timeout_s: float
) -> _Exchange:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            transport, exchange = await loop.create_connection(
                _Exchange,
                target.host,
                target.port,
                ssl=target.tls,
                server_hostname=target.server_name if target.tls else None,
            )
            lines = [f"{method} {path} HTTP/1.1", f"Host: {target.authority or target.server_name}"]
            lines += [f"{name}: {value}" for name, value in [*headers, *target.headers]]
            if body or method in ("POST", "PUT", "PATCH"):
                lines.append(f"Content-Length: {len(body)}")
            transport.write("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)
            try:
                await exchange.head
            except BaseException:
                transport.abort()
                raise
            return exchange
    except TimeoutError:
        raise UpstreamError("context deadline exceeded") from None
    except ssl.SSLCertVerificationError as error:
        raise UpstreamError(f"tls: failed to verify certificate: {error.verify_message}") from error
    except OSError as error:
        raise UpstreamError(f"dial tcp {target.host}:{target.port}: connect: {_words(error)}") from error


def _words(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error)).lower()


async def call(
    target: Target,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    timeout_s: float,
    limit: int = 16 * 1024 * 1024,
) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of a whole exchange. Raises UpstreamError."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    exchange = await _open(target, method, path, [*headers, ("Connection", "close")], body, timeout_s)
    try:
        answer = await _rest(exchange, timeout_s - (loop.time() - started), limit)
        if len(answer) > limit:
            raise UpstreamError(f"the answer is larger than {limit} bytes")
        return exchange.head.result(), dict(exchange.headers), answer
    finally:
        exchange.transport.abort()


async def _rest(exchange: _Exchange, timeout_s: float, limit: int) -> bytes:
    """The body to its end, or until it is longer than `limit`. Raises UpstreamError."""
    done = asyncio.get_running_loop().create_future()

    def progress() -> None:
        if (exchange.complete or exchange.lost or exchange.size > limit) and not done.done():
            done.set_result(None)

    exchange.on_progress = progress
    progress()
    try:
        async with asyncio.timeout(max(timeout_s, 0.001)):
            await done
    except TimeoutError:
        raise UpstreamError("context deadline exceeded") from None
    if exchange.lost is not None and not exchange.complete and exchange.size <= limit:
        raise exchange.lost
    return exchange.take()


async def proxy(
    target: Target,
    request: Request,
    path: str,
    headers: Sequence[tuple[str, str]] = (),
    *,
    drop: frozenset[str] = frozenset(),
    timeout_s: float = 30.0,
    failure: Callable[[int, str], Exception] | None = None,
) -> AnyResponse:
    """Pass a request on and stream the answer back, upgraded connections included. Raises UpstreamError.

    `drop` are lower-case names of headers that the other server must not see; `timeout_s` is for the answer's head.
    `failure` makes the exception to raise of an error's code and its text, where that is plain text.
    """
    upgrade = request.headers.get("upgrade")
    passed = [(name, value) for name, value in request.header_list if name not in _HOP_BY_HOP and name not in drop]
    passed += [*headers, ("Connection", "Upgrade" if upgrade else "close")]
    exchange = await _open(target, request.method, path, passed, request.body, timeout_s)
    if exchange.upgraded:
        return TunnelResponse(_upgrade_head(exchange), lambda transport: _Pipe(transport, exchange))
    kept = {
        name.title(): value
        for name, value in exchange.headers
        if name not in _HOP_BY_HOP and name not in ("content-type", "upgrade")
    }
    content_type = next((value for name, value in exchange.headers if name == "content-type"), "")
    status = exchange.head.result()
    if failure is not None and status >= 400 and content_type.startswith("text/plain"):
        try:
            body = await _rest(exchange, timeout_s, _ERROR_TEXT)
        finally:
            exchange.transport.abort()
        raise failure(status, body[:_ERROR_TEXT].decode(errors="replace").strip())
    return StreamingResponse(status, lambda stream: _relay(stream, exchange), content_type, kept)


def _upgrade_head(exchange: _Exchange) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols"]
    lines += [f"{name.title()}: {value}" for name, value in exchange.headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def _relay(stream: Stream, exchange: _Exchange) -> None:
    """Body pieces from one connection to another; stops reading while the client is slow."""
    paused = False

    def resume() -> None:
        nonlocal paused
        paused = False
        if not exchange.transport.is_closing():
            exchange.transport.resume_reading()
        progress()

    def progress() -> None:
        nonlocal paused
        data = exchange.take()
        if data:
            stream.write(data)
        if exchange.complete:
            stream.end()
        elif exchange.lost is not None:
            stream.abort()
        elif stream.paused and not paused:
            paused = True
            exchange.transport.pause_reading()
            stream.on_writable(resume)

    stream.on_close(exchange.transport.abort)
    exchange.on_progress = progress
    progress()


class _Pipe:
    """An upgraded connection: bytes both ways, each side slowed down by the other."""

    def __init__(self, client: Transport, exchange: _Exchange) -> None:
        self._client = client
        self._server = exchange.transport
        exchange.on_raw = client.write
        exchange.on_pause = self._server_slow
        exchange.on_progress = self._server_gone
        early, exchange.raw = exchange.raw, []
        for data in early:
            client.write(data)
        if exchange.lost is not None:
            client.close()

    def on_data(self, data: bytes) -> None:
        self._server.write(data)

    def on_pause(self, paused: bool) -> None:
        if self._server.is_closing():
            return
        if paused:
            self._server.pause_reading()
        else:
            self._server.resume_reading()

    def on_lost(self) -> None:
        self._server.close()

    def _server_slow(self, paused: bool) -> None:
        if paused:
            self._client.pause_reading()
        else:
            self._client.resume_reading()

    def _server_gone(self) -> None:
        self._client.close()
