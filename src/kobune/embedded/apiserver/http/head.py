"""The head of an answer as bytes, and who is at the other end of a connection."""

import asyncio
import ssl
from http import HTTPStatus
from typing import Any

from kobune.embedded.apiserver.http.message import Peer, Response, StreamingResponse

__all__ = ["peer_of", "render_head"]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def render_head(response: Response | StreamingResponse, keep_alive: bool) -> bytes:
    lines = _STATUS_LINES.get(response.status) or b"HTTP/1.1 %d \r\n" % response.status
    if response.content_type:
        lines += b"Content-Type: " + response.content_type.encode("latin-1") + b"\r\n"
    if response.headers:
        for name, value in response.headers.items():
            lines += f"{name}: {value}\r\n".encode("latin-1", "replace")
    for text in response.warnings:
        lines += b"Warning: " + _warning(text) + b"\r\n"
    if not keep_alive:
        lines += b"Connection: close\r\n"
    return lines


def _warning(text: str) -> bytes:
    """RFC 7234 warn-code 299 with a quoted text."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    printable = "".join(c if c.isprintable() else " " for c in quoted)
    return f'299 - "{printable}"'.encode()


def peer_of(transport: asyncio.Transport) -> Peer:
    address = transport.get_extra_info("peername")
    host = str(address[0]) if isinstance(address, tuple) else ""
    ssl_object = transport.get_extra_info("ssl_object")
    certificate: dict[str, Any] | None = ssl_object.getpeercert() if ssl_object is not None else None
    if not certificate:
        return Peer(host)
    names = [pair for rdn in certificate.get("subject", ()) for pair in rdn]
    common_name = next((value for name, value in names if name == "commonName"), "")
    organizations = tuple(value for name, value in names if name == "organizationName")
    return Peer(host, common_name, organizations, ssl.cert_time_to_seconds(certificate["notAfter"]))
