"""Tunnels port-forward from a websocket to the runtime's streaming server.

Clients of Kubernetes carry SPDY/3.1 inside the websocket; the runtime speaks SPDY/3.1 itself. So the bytes pass through
unread: streams, ports and errors are between those two.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

__all__ = ["TUNNEL_PROTOCOL", "tunnel"]

TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
CONNECT_TIMEOUT_S = 10.0
CHUNK_BYTES = 32 << 10
HEAD_LIMIT_BYTES = 16 << 10


async def tunnel(socket: web.WebSocketResponse, url: str) -> None:
    """Until either side ends; closes the socket."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await _upgrade(url)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as error:
        await socket.close(code=1011, message=f"port-forward: {error}"[:100].encode())
        return
    try:
        upward = asyncio.create_task(_to_client(reader, socket))
        downward = asyncio.create_task(_to_runtime(socket, writer))
        _, pending = await asyncio.wait({upward, downward}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(upward, downward, return_exceptions=True)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    with contextlib.suppress(ConnectionError, RuntimeError):
        await socket.close()


async def _upgrade(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=HEAD_LIMIT_BYTES)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    writer.write(
        f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        "X-Stream-Protocol-Version: portforward.k8s.io\r\nContent-Length: 0\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0]
    if b" 101 " not in status + b" ":
        writer.close()
        raise ConnectionError(f"the runtime answered {status.decode('latin-1')}")
    return reader, writer


async def _to_client(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    while data := await reader.read(CHUNK_BYTES):
        await socket.send_bytes(data)


async def _to_runtime(socket: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            writer.write(message.data)
            await writer.drain()
