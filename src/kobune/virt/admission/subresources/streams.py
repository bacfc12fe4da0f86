"""Two-way streams: a client's websocket joined with a guest's console, screen or port.

Owns: moving bytes both ways with back-pressure (a send waits until the peer takes it), and ending both when one ends.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

import aiohttp
from aiohttp import web

__all__ = ["SUBPROTOCOL", "join_tcp", "join_websockets"]

SUBPROTOCOL: Final = "plain.kubevirt.io"
CHUNK_BYTES: Final = 64 * 1024
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


async def _first_of(*directions: Coroutine[Any, Any, None]) -> None:
    """Run until one direction ends; a connection that breaks is a normal end."""
    tasks = [asyncio.ensure_future(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
