"""What handlers get and give, independent of the adapter."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, unquote

__all__ = ["Handler", "Peer", "Pieces", "Request", "Response", "Stream", "StreamingResponse", "TunnelResponse"]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end. The certificate was verified by TLS; without one the names are empty."""

    address: str = ""
    common_name: str = ""
    organizations: tuple[str, ...] = ()
    expires: float = math.inf
    """When the certificate ends, as Unix time: a connection may live longer than that."""


class Request:
    """One request, body included. Header names are lower case; repeated headers are in `header_list`."""

    __slots__ = (
        "_query",
        "annotations",
        "body",
        "body_too_large",
        "header_list",
        "headers",
        "method",
        "path",
        "peer",
        "raw_path",
        "raw_query",
    )

    def __init__(
        self,
        method: str,
        target: str,
        header_list: list[tuple[str, str]],
        body: bytes,
        peer: Peer,
    ) -> None:
        self.method = method
        self.raw_path, _, self.raw_query = target.partition("?")
        self.path = unquote(self.raw_path) if "%" in self.raw_path else self.raw_path
        self.header_list = header_list
        self.headers: dict[str, str] = dict(header_list)
        self.body = body
        self.body_too_large = False
        """The body was over the limit and is not here."""
        self.annotations: dict[str, str] | None = None
        """What is noted of it in the audit log."""
        self.peer = peer
        self._query: dict[str, list[str]] | None = None

    @property
    def query(self) -> dict[str, list[str]]:
        """Decoded query parameters, in order per name."""
        if self._query is None:
            self._query = {}
            if self.raw_query:
                for name, value in parse_qsl(self.raw_query, keep_blank_values=True, max_num_fields=512):
                    self._query.setdefault(name, []).append(value)
        return self._query

    def option(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default


class Stream(Protocol):
    """The write side of a streaming answer."""

    def write(self, data: bytes) -> None:
        """Send one chunk as soon as possible. Nothing happens after the end."""
        ...

    def write_framed(self, frame: bytes) -> None:
        """Send a chunk that `frame_chunk` made before: shared by many streams."""
        ...

    def end(self) -> None:
        """Finish the answer properly."""
        ...

    def abort(self) -> None:
        """Cut the connection, so that the reader sees the answer is incomplete."""
        ...

    @property
    def paused(self) -> bool:
        """The reader is slow: what is written now piles up in memory."""
        ...

    def on_writable(self, callback: Callable[[], None]) -> None:
        """Call when the reader has caught up."""
        ...

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call once when the connection or the answer has ended."""
        ...


class Transport(Protocol):
    """A raw connection after an upgrade."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """Close after sending what is pending."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...

    def pause_reading(self) -> None:
        """Stop calling `on_data`."""
        ...

    def resume_reading(self) -> None:
        """Call `on_data` again."""
        ...


@dataclass(slots=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None
    warnings: tuple[str, ...] = ()
    pieces: "Pieces | None" = None
    """A large body instead of `body`: made while it is sent, at the reader's pace, never there as a whole."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """`length` bytes, in parts."""

    length: int
    parts: Iterable[bytes]


@dataclass(slots=True)
class StreamingResponse:
    """An answer in chunks; `start` gets the stream once the head is sent."""

    status: int
    start: Callable[[Stream], None]
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class TunnelResponse:
    """The connection becomes a pipe: `head` is written as it is, then bytes go both ways.

    `start` gets the transport and gives (on_data, on_pause, on_lost).
    """

    head: bytes
    start: Callable[[Transport], "Tunnel"]


class Tunnel(Protocol):
    """The other end of an upgraded connection."""

    def on_data(self, data: bytes) -> None:
        """Bytes from the client."""
        ...

    def on_pause(self, paused: bool) -> None:
        """The client reads slowly (True) or has caught up (False)."""
        ...

    def on_lost(self) -> None:
        """The client is gone."""
        ...


AnyResponse = Response | StreamingResponse | TunnelResponse


class Handler(Protocol):
    """The application."""

    async def __call__(self, request: Request) -> AnyResponse:
        """Answer one request; must not raise."""
        ...


def frame_chunk(data: bytes) -> bytes:
    """One chunk of a chunked answer."""
    return b"%x\r\n%b\r\n" % (len(data), data)
