"""Copies a websocket to a unix socket of a launcher pod and back: serial console, VNC and USB redirection.

Owns: back-pressure and the one-session rule. A socket's other end and its folder belong to the guest's side.

Sizes: 32 KiB read at a time, websocket messages of at most 4 MiB; the slower side stops the faster one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from kobune.host.unixsocket import SocketGone, UnsafeSocket, connect_socket

__all__ = ["MESSAGE_LIMIT_BYTES", "Sessions", "SocketGone", "UnsafeSocket", "connect_unix"]

log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 32 * 1024
MESSAGE_LIMIT_BYTES: Final = 4 * 1024 * 1024


async def connect_unix(folder: Path, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the guest's socket `name` in a pod's volume. Raises SocketGone, UnsafeSocket."""
    return await connect_socket(folder, name, limit_bytes=CHUNK_BYTES)


class Sessions:
    """At most one session per name: a new one ends the old one, as in KubeVirt."""

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Event] = {}
        self._kept: set[str] = set()

    async def run(
        self, name: str, client: web.WebSocketResponse, guest: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        """Copy both ways until either side ends or another session takes the name."""
        replaced = self._take(name)
        reader, writer = guest
        tasks = [
            asyncio.create_task(_to_client(reader, client)),
            asyncio.create_task(_to_guest(client, writer)),
            asyncio.create_task(replaced.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[2] in done:
                await client.close(code=WSCloseCode.POLICY_VIOLATION, message=b"another session was opened")
            else:
                for task in done:
                    task.result()
                await client.close()
        except OSError as error:
            log.debug("session %s: %s", name, error)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            if self._open.get(name) is replaced:
                del self._open[name]

    @contextlib.contextmanager
    def free(self, names: Iterable[str]) -> Iterator[str | None]:
        """The first name without a session, kept from others who ask for a free one; None when there is none."""
        name = next((name for name in names if name not in self._open and name not in self._kept), None)
        if name is None:
            yield None
            return
        self._kept.add(name)
        try:
            yield name
        finally:
            self._kept.discard(name)

    def _take(self, name: str) -> asyncio.Event:
        old = self._open.get(name)
        if old is not None:
            old.set()
        mine = asyncio.Event()
        self._open[name] = mine
        return mine


async def _to_client(reader: asyncio.StreamReader, client: web.WebSocketResponse) -> None:
    while data := await reader.read(CHUNK_BYTES):
        await client.send_bytes(data)


async def _to_guest(client: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    async for message in client:
        if message.type is WSMsgType.BINARY:
            writer.write(message.data)
        elif message.type is WSMsgType.TEXT:
            writer.write(message.data.encode())
        else:
            return
        await writer.drain()
