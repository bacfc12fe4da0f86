"""`kobune console`: the guest's serial console in this terminal."""

import asyncio
import sys
from collections.abc import AsyncGenerator

import aiohttp
import click

from kobune.cli.power import GROUP
from kobune.cli.session import Session, command
from kobune.cli.terminal import raw_mode, read_chunks, write_all
from kobune.kube.client.errors import Conflict, Invalid, NotFound, Unavailable
from kobune.kube.client.http import HttpClient

__all__ = ["console"]

ESCAPE = b"\x1d"  # Ctrl-]
NUDGE_S = 2.0
PROTOCOL = "plain.kubevirt.io"


@click.command(epilog="Examples: kobune console demo; kobune console demo --timeout 60")
@click.argument("name")
@click.option("--timeout", default=5.0, show_default=True, help="Minutes to wait for the guest to run.")
@click.option("--until", metavar="TEXT", help="Only show the console, and leave when the guest prints TEXT.")
@command
async def console(session: Session, name: str, timeout: float, until: str | None) -> int:
    """Connect this terminal to the serial console of NAME; Ctrl-] leaves."""
    async with session.open() as (client, namespace):
        path = f"{GROUP}/namespaces/{namespace}/virtualmachineinstances/{name}/console"
        socket = await _connect(client, path, name, timeout * 60)
        try:
            if until is not None:
                return await _show_until(socket, until.encode(), name, timeout * 60)
            click.echo(f"Successfully connected to {name} console. Press Ctrl+] to leave it.", err=True)
            return await _attach(socket)
        finally:
            await socket.close()


async def _connect(client: HttpClient, path: str, name: str, timeout_s: float) -> aiohttp.ClientWebSocketResponse:
    """Connect, waiting while there is no running guest yet; what is waited for is said once.

    Raises the server's last answer when `timeout_s` is over.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    said = ""
    while True:
        try:
            return await client.connect_websocket(path, protocols=(PROTOCOL,))
        except (NotFound, Conflict, Invalid, Unavailable) as error:
            if loop.time() >= deadline:
                raise
            if str(error) != said:
                said = str(error)
                click.echo(f"Waiting for {name}: {said}", err=True)
            await asyncio.sleep(1.0)


async def _chunks(socket: aiohttp.ClientWebSocketResponse) -> AsyncGenerator[bytes, None]:
    """What the guest says, as it comes; ends when the server closes."""
    async for message in socket:
        if message.type is aiohttp.WSMsgType.ERROR:
            raise aiohttp.ClientError(str(message.data))
        yield message.data if isinstance(message.data, bytes) else str(message.data).encode()


async def _show_until(socket: aiohttp.ClientWebSocketResponse, text: bytes, name: str, timeout_s: float) -> int:
    """Print until `text` was seen: 0; 1 when the time is over or the console closed.

    A silent guest gets an Enter now and then, because its prompt may be older than this connection.
    """
    seen = b""
    chunks = _chunks(socket)
    waiting = asyncio.ensure_future(anext(chunks))
    try:
        async with asyncio.timeout(timeout_s):
            while text not in seen:
                done, _ = await asyncio.wait([waiting], timeout=NUDGE_S)
                if not done:
                    await socket.send_bytes(b"\r")
                    continue
                chunk = waiting.result()
                write_all(chunk)
                seen = (seen + chunk)[-(len(text) + len(chunk)) :]
                waiting = asyncio.ensure_future(anext(chunks))
            return 0
    except TimeoutError:
        click.echo(f"\n{name} did not print {text.decode()!r} within {timeout_s:.0f} s", err=True)
    except StopAsyncIteration:
        click.echo(f"\nThe console closed before {name} printed {text.decode()!r}", err=True)
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    return 1


async def _attach(socket: aiohttp.ClientWebSocketResponse) -> int:
    """Copy both ways until the guest, the server or the user ends it; 1 when the connection broke."""

    async def to_screen() -> int:
        try:
            async for chunk in _chunks(socket):
                write_all(chunk)
        except aiohttp.ClientError as error:
            click.echo(f"\r\nConnection lost: {error}\r", err=True)
            return 1
        click.echo("\r\nThe console was closed by the server: the guest ended, or another client took it.\r", err=True)
        return 0

    async def from_keyboard(keys: "asyncio.Queue[bytes]") -> int:
        while chunk := await keys.get():
            before, escape, _ = chunk.partition(ESCAPE)
            if before:
                await socket.send_bytes(before)
            if escape:
                return 0
        # Standard input ended, as in a pipe: keep showing what the guest says.
        await asyncio.Event().wait()
        return 0

    descriptor = sys.stdin.fileno()
    with raw_mode(descriptor):
        async with read_chunks(descriptor) as keys:
            tasks = [asyncio.create_task(to_screen()), asyncio.create_task(from_keyboard(keys))]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
    return next(iter(done)).result()
