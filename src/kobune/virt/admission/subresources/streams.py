"""Two-way streams: a client's websocket joined with a guest's console, screen or port.

Owns: moving bytes both ways with back-pressure (a send waits until the peer takes it), and ending both when one ends.
Datagrams are one message each, and are dropped where a queue is full, as networks do.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

import aiohttp
from aiohttp import web

__all__ = ["SUBPROTOCOL", "join_tcp", "join_udp", "join_websockets"]

SUBPROTOCOL: Final = "plain.kubevirt.io"
CHUNK_BYTES: Final = 64 * 1024
MAX_DATAGRAM_BYTES: Final = 65_507
MAX_DATAGRAMS: Final = 256
UDP_IDLE_S: Final = 600.0
_SENT_CODES: Final = frozenset(aiohttp.WSCloseCode) - {aiohttp.WSCloseCode.ABNORMAL_CLOSURE}
"""Those that may stand in a frame; an abnormal closure is the absence of one."""
_DATA: Final = (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT)


async def join_websockets(client: web.WebSocketResponse, guest: aiohttp.ClientWebSocketResponse) -> None:
    """Copy messages both ways until either side closes; both are closed then, the client's with the guest's code.

    The code tells a console that was taken by another client from a guest that has ended.
    """

    async def up() -> None:
        async for message in client:
            if message.type not in _DATA:
                return
            await guest.send_bytes(message.data if isinstance(message.data, bytes) else message.data.encode())

    code: int = aiohttp.WSCloseCode.OK

    async def down() -> None:
        nonlocal code
        while True:
            message = await guest.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                # Not close_code: that says 1006 when the guest's end did not wait for our answer.
                code = message.data if message.data in _SENT_CODES else aiohttp.WSCloseCode.GOING_AWAY
            if message.type not in _DATA:
                return
            await client.send_bytes(message.data if isinstance(message.data, bytes) else message.data.encode())

    try:
        await _first_of(up(), down())
    finally:
        await guest.close()
        await client.close(code=code)


async def join_tcp(client: web.WebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy between a websocket and a TCP connection until either side closes."""

    async def up() -> None:
        async for message in client:
            if message.type not in _DATA:
                return
            writer.write(message.data if isinstance(message.data, bytes) else message.data.encode())
            await writer.drain()

    async def down() -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            await client.send_bytes(chunk)

    try:
        await _first_of(up(), down())
    finally:
        writer.close()
        await client.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def join_udp(client: web.WebSocketResponse, host: str, port: int) -> None:
    """Copy datagrams between a websocket and a UDP port until the client closes, or nothing came for a long while."""
    inbox = _Inbox()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: inbox, remote_addr=(host, port))

    async def up() -> None:
        async for message in client:
            if message.type not in _DATA:
                return
            inbox.seen_s = loop.time()
            data = message.data if isinstance(message.data, bytes) else message.data.encode()
            # A longer one does not fit into a datagram; one that the kernel does not take now is lost.
            if len(data) <= MAX_DATAGRAM_BYTES and inbox.writable:
                transport.sendto(data)

    async def down() -> None:
        while True:
            await client.send_bytes(await inbox.queue.get())

    async def idle() -> None:
        while (left_s := inbox.seen_s + UDP_IDLE_S - loop.time()) > 0:  # noqa: ASYNC110 - time is what is waited for
            await asyncio.sleep(left_s)

    try:
        await _first_of(up(), down(), idle())
    finally:
        transport.close()
        await client.close()


class _Inbox(asyncio.DatagramProtocol):
    """What came from the guest and was not sent to the client yet."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=MAX_DATAGRAMS)
        self.seen_s = asyncio.get_running_loop().time()
        self.writable = True

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.seen_s = asyncio.get_running_loop().time()
        if not self.queue.full():
            self.queue.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there now: somebody may when the next datagram comes."""


async def _first_of(*directions: Coroutine[Any, Any, None]) -> None:
    """Run until one direction ends; a connection that breaks is a normal end."""
    tasks = [asyncio.ensure_future(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
