"""One connection: httptools' parser on one side, the handler on the other.

Owns limits, keep-alive, pipelining (answered in order, one at a time) and back-pressure. Memory per connection is
bounded by one request body, `_PIPELINE` waiting requests and the transport's write buffer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from kobune.embedded.apiserver.http.chunked import ChunkedStream
from kobune.embedded.apiserver.http.head import peer_of, render_head
from kobune.embedded.apiserver.http.message import (
    AnyResponse,
    Handler,
    Peer,
    Pieces,
    Request,
    Response,
    StreamingResponse,
    Tunnel,
    TunnelResponse,
)

__all__ = ["HttpProtocol", "Limits"]

log = logging.getLogger(__name__)

_PIPELINE = 16
_WRITE_HIGH = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost. Bytes and seconds."""

    body: int = 3 * 1024 * 1024
    target: int = 16 * 1024
    headers: int = 64 * 1024
    header_count: int = 128
    idle_s: float = 180.0
    request_s: float = 60.0


class HttpProtocol(asyncio.Protocol):
    """A connection of one client."""

    def __init__(self, handler: Handler, limits: Limits, connections: "set[HttpProtocol]") -> None:
        self._handler = handler
        self._limits = limits
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._peer = Peer()
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._queue: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._stream: ChunkedStream | None = None
        self._tunnel: Tunnel | None = None
        self._closing = False
        self._draining = False
        self._reading_paused = False
        self.write_paused = False
        self._writable: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the peer and wait for a request."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH)
        self._peer = peer_of(self._transport)
        self._connections.add(self)
        self._arm(self._limits.idle_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what this client was waiting for."""
        self._connections.discard(self)
        self._closing = True
        self._disarm()
        if self._stream is not None:
            self._stream.lost()
            self._stream = None
        if self._tunnel is not None:
            self._tunnel.on_lost()
            self._tunnel = None
        if self._task is not None:
            self._task.cancel()
        self._queue.clear()
        for callback in self._take_writable():
            callback()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, or the tunnel."""
        if self._tunnel is not None:
            self._tunnel.on_data(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # A handler decides on the upgrade; bytes after the head belong to the tunnel.
            self._leftover = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError:
            self._refuse(Response(431, b"request head too large\n", "text/plain; charset=utf-8"))
        except httptools.HttpParserError:
            self._refuse(Response(400, b"400 Bad Request\n", "text/plain; charset=utf-8"))

    _leftover = b""

    def eof_received(self) -> bool:
        """A half-closed client gets its answer no more: HTTP clients close whole connections."""
        return False

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self.write_paused = True
        if self._tunnel is not None:
            self._tunnel.on_pause(True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        if self._tunnel is not None:
            self._tunnel.on_pause(False)
        for callback in self._take_writable():
            callback()

    # --- httptools

    def on_message_begin(self) -> None:
        """A new request."""
        self._target = b""
        self._headers = []
        self._header_bytes = 0
        self._body = []
        self._body_bytes = 0
        self._arm(self._limits.request_s)

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        self._target += url
        if len(self._target) > self._limits.target:
            raise ValueError("target too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > self._limits.headers or len(self._headers) >= self._limits.header_count:
            raise ValueError("headers too large")
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Tell a careful client to go on."""
        for name, value in self._headers:
            if name == "expect" and value.lower() == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return

    def on_body(self, body: bytes) -> None:
        """Part of the body; what is over the limit is read and dropped, so that the client sees the answer."""
        self._body_bytes += len(body)
        if self._body_bytes <= self._limits.body:
            self._body.append(body)
        else:
            self._body.clear()
            if self._body_bytes > 16 * self._limits.body:
                self._transport.abort()

    def on_message_complete(self) -> None:
        """Queue the request."""
        self._disarm()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        request = Request(
            self._parser.get_method().decode("latin-1"), self._target.decode("latin-1"), self._headers, body, self._peer
        )
        if self._body_bytes > self._limits.body:
            request.body = b""
            request.body_too_large = True
        self._queue.append((request, self._parser.should_keep_alive()))
        if self._task is None:
            self._task = self._loop.create_task(self._serve())
        elif len(self._queue) >= _PIPELINE and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    # --- answering

    async def _serve(self) -> None:
        try:
            while self._queue:
                request, keep_alive = self._queue.popleft()
                if self._reading_paused and len(self._queue) < _PIPELINE:
                    self._reading_paused = False
                    self._transport.resume_reading()
                response = await self._handler(request)
                if self._closing:
                    _discard(response)
                    return
                if not await self._send(request, response, keep_alive):
                    return
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("an answer could not be sent")
            self._transport.abort()
        finally:
            self._task = None
        if self._draining and not self._closing:
            self._closing = True
            self._transport.close()
        if not self._closing:
            self._arm(self._limits.idle_s)

    async def _send(self, request: Request, response: AnyResponse, keep_alive: bool) -> bool:
        """Send; True when the connection can serve another request."""
        if isinstance(response, Response):
            head = render_head(response, keep_alive)
            if response.pieces is not None:
                await self._send_pieces(head, response.pieces, request.method == "HEAD")
            elif request.method == "HEAD" or response.status in (204, 304):
                self._transport.write(head + b"Content-Length: %d\r\n\r\n" % len(response.body))
            elif len(response.body) > 65536:
                self._transport.writelines([head + b"Content-Length: %d\r\n\r\n" % len(response.body), response.body])
            else:
                self._transport.write(head + b"Content-Length: %d\r\n\r\n" % len(response.body) + response.body)
            if self.write_paused:
                await self._drained()
        elif isinstance(response, StreamingResponse):
            self._transport.write(render_head(response, keep_alive) + b"Transfer-Encoding: chunked\r\n\r\n")
            ended = self._loop.create_future()
            self._stream = stream = ChunkedStream(self, self._transport, ended)
            response.start(stream)
            await ended
            self._stream = None
        else:
            self._start_tunnel(response)
            return False
        if not keep_alive:
            self._transport.close()
            self._closing = True
            return False
        return not self._closing

    async def _send_pieces(self, head: bytes, pieces: Pieces, head_only: bool) -> None:
        self._transport.write(head + b"Content-Length: %d\r\n\r\n" % pieces.length)
        if head_only:
            return
        for part in pieces.parts:
            if self.write_paused:
                await self._drained()
            self._transport.write(part)

    def _start_tunnel(self, response: TunnelResponse) -> None:
        self._disarm()
        self._transport.write(response.head)
        self._tunnel = response.start(self._transport)
        if self._leftover:
            leftover, self._leftover = self._leftover, b""
            self._tunnel.on_data(leftover)

    def _refuse(self, response: Response) -> None:
        if self._task is not None or self._closing:
            self._transport.abort()
            return
        self._closing = True
        self._transport.write(
            render_head(response, False) + b"Content-Length: %d\r\n\r\n" % len(response.body) + response.body
        )
        self._transport.close()

    async def _drained(self) -> None:
        future = self._loop.create_future()
        self._writable.append(lambda: None if future.done() else future.set_result(None))
        await future

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call once when writing is possible again."""
        self._writable.append(callback)

    def _take_writable(self) -> list[Callable[[], None]]:
        callbacks, self._writable = self._writable, []
        return callbacks

    # --- time limits and shutdown

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, self._too_late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        if self._task is None and self._tunnel is None:
            self._closing = True
            self._transport.close()

    def shut_down(self) -> None:
        """End streams properly, close when idle or after the answer that is under way."""
        self._draining = True
        if self._tunnel is not None:
            self._transport.close()
        if self._stream is not None:
            self._stream.end()
        if self._task is None:
            self._closing = True
            self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        self._transport.abort()


def _discard(response: AnyResponse) -> None:
    """The client went away before its stream began: nothing was started, nothing is to be stopped."""
