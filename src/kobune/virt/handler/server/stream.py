"""Copies a websocket to a unix socket of a launcher pod and back: serial console and VNC.

Owns: opening the socket safely, back-pressure and the one-session rule. A socket's other end and its folder belong to
the guest's side: a symbolic link in its place must not lead us to a socket of the host.

Sizes: 32 KiB read at a time, websocket messages of at most 4 MiB; the slower side stops the faster one.
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from pathlib import Path
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from kobune.base.errors import RetryableError, TerminalError

__all__ = ["MESSAGE_LIMIT_BYTES", "Sessions", "SocketGone", "UnsafeSocket", "connect_unix"]

log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 32 * 1024
MESSAGE_LIMIT_BYTES: Final = 4 * 1024 * 1024
CONNECT_TIMEOUT_S: Final = 5.0


class SocketGone(RetryableError):
    """Nobody listens there: the guest is starting or has ended."""


class UnsafeSocket(TerminalError):
    """What lies there is no socket."""


async def connect_unix(folder: Path, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the socket `name` in `folder`, which only root can have put there. Raises SocketGone, UnsafeSocket."""
    try:
        directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise SocketGone(f"{name}: {error.strerror}") from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise UnsafeSocket(f"{name} is no socket")
        connection.setblocking(False)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            # By descriptor: what was checked is what is connected to, and the path may be longer than sun_path.
            await asyncio.get_running_loop().sock_connect(connection, f"/proc/self/fd/{descriptor}")
        return await asyncio.open_unix_connection(sock=connection, limit=CHUNK_BYTES)
    except (OSError, TimeoutError) as error:
        connection.close()
        raise SocketGone(f"{name}: nobody listens: {error}") from error
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(descriptor)


class Sessions:
    """At most one session per name: a new one ends the old one, as in KubeVirt."""

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Event] = {}

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
