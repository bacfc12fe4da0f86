"""The body of an answer in chunks, on a connection that its protocol owns."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from kobune.embedded.apiserver.http.message import frame_chunk

__all__ = ["ChunkedStream"]


class Writable(Protocol):
    """A connection as far as a stream sees it."""

    write_paused: bool
    """The client reads slowly."""

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call once when writing is possible again."""
        ...


class ChunkedStream:
    """Implements `Stream` on a connection."""

    __slots__ = ("_closers", "_ended", "_protocol", "_transport", "closed")

    def __init__(self, protocol: Writable, transport: asyncio.Transport, ended: "asyncio.Future[None]") -> None:
        self._protocol = protocol
        self._transport = transport
        self._ended = ended
        self._closers: list[Callable[[], None]] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        if not self.closed and data:
            self._transport.write(frame_chunk(data))

    def write_framed(self, frame: bytes) -> None:
        if not self.closed:
            self._transport.write(frame)

    def end(self) -> None:
        if not self.closed:
            self._transport.write(b"0\r\n\r\n")
            self.lost()

    def abort(self) -> None:
        if not self.closed:
            self._transport.abort()
            self.lost()

    def lost(self) -> None:
        """The answer is over, for whatever reason."""
        if self.closed:
            return
        self.closed = True
        closers, self._closers = self._closers, []
        for callback in closers:
            callback()
        if not self._ended.done():
            self._ended.set_result(None)

    @property
    def paused(self) -> bool:
        return self._protocol.write_paused

    def on_writable(self, callback: Callable[[], None]) -> None:
        self._protocol.when_writable(callback)

    def on_close(self, callback: Callable[[], None]) -> None:
        if self.closed:
            callback()
        else:
            self._closers.append(callback)
