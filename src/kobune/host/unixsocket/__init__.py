"""Connects to unix sockets in directories that somebody else may write to.

Owns: not being led elsewhere. A symbolic link in place of the socket would lead to a socket of this machine, which
would take us for its administrator; so what is connected to is what was looked at, and nothing but a socket.
"""

import asyncio
import os
import socket
import stat
from pathlib import Path

from kobune.base.errors import RetryableError, TerminalError

__all__ = ["SocketGone", "UnsafeSocket", "connect_socket"]

CONNECT_TIMEOUT_S = 5.0


class SocketGone(RetryableError):
    """Nobody listens there: who should is starting, or has ended."""


class UnsafeSocket(TerminalError):
    """What lies there is no socket."""


async def connect_socket(
    folder: Path, name: str, *, limit_bytes: int, timeout_s: float = CONNECT_TIMEOUT_S
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the socket `name` in `folder`; only root can have put the folder itself where it is.

    `limit_bytes` is how much the reader buffers. Raises SocketGone, also when the time limit has passed, and
    UnsafeSocket.
    """
    try:
        directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
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
        async with asyncio.timeout(timeout_s):
            # By descriptor: what was checked is what is connected to, and the path may be longer than sun_path.
            await asyncio.get_running_loop().sock_connect(connection, f"/proc/self/fd/{descriptor}")
        return await asyncio.open_unix_connection(sock=connection, limit=limit_bytes)
    except (OSError, TimeoutError) as error:
        connection.close()
        raise SocketGone(f"{name}: nobody listens: {error}") from error
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(descriptor)
