"""A stream to a guest through a TCP port of this machine, for one program that connects to it: a viewer, usbredirect.

Owns: the port and the life of that program. What is said on the stream is theirs.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

import aiohttp
import click

from kobune.cli.sockets import CHUNK_BYTES, join_stream

__all__ = ["serve_one"]

LISTEN_TIMEOUT_S = 60.0

Start = Callable[[str, int], Awaitable[asyncio.subprocess.Process]]


async def serve_one(
    socket: aiohttp.ClientWebSocketResponse,
    listen: tuple[str, int],
    *,
    what: str,
    program: str,
    start: Start | None,
) -> int:
    """Serve one connection; the exit status of the program that `start` runs with host and port.

    Without `start` the port is printed as JSON, for a program of the user's own. `what` is served, to a `program`.
    Raises ClickException when the program that was started does not connect in time.
    """
    taken: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if taken.done():
            writer.close()
        else:
            taken.set_result((reader, writer))

    address, port = listen
    try:
        server = await asyncio.start_server(accept, address, port, limit=CHUNK_BYTES)
    except OSError as error:
        message = f"cannot listen on {address}:{port}: {error.strerror or error}; without --port a free one is taken"
        raise click.ClickException(message) from error
    host, local = server.sockets[0].getsockname()[:2]
    process: asyncio.subprocess.Process | None = None
    try:
        if start is None:
            click.echo(json.dumps({"port": local}))
        else:
            process = await start(host, local)
        # A program that was started here comes at once, one that somebody starts takes its time.
        limit_s = None if start is None else LISTEN_TIMEOUT_S
        wait = f"for a {program}; Ctrl-C ends it" if limit_s is None else f"{limit_s:.0f} s for a {program}"
        click.echo(f"{what} on {host}:{local}; waiting {wait}", err=True)
        try:
            reader, writer = await asyncio.wait_for(taken, limit_s)
        except TimeoutError:
            message = f"no {program} connected to {host}:{local} within {limit_s:.0f} s"
            raise click.ClickException(message) from None
        server.close()
        await _copy(socket, reader, writer, what)
        return await process.wait() if process is not None else 0
    finally:
        server.close()
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()


async def _copy(
    socket: aiohttp.ClientWebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str
) -> None:
    async def read() -> bytes:
        return await reader.read(CHUNK_BYTES)

    async def write(chunk: bytes) -> None:
        writer.write(chunk)
        await writer.drain()

    try:
        # Nothing to linger for: a program that has closed wants no more.
        await join_stream(socket, read, write, linger_s=0.0)
    except (aiohttp.ClientError, OSError) as error:
        click.echo(f"{what}: the connection broke: {error}", err=True)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
