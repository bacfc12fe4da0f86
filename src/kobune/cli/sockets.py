"""Websockets to a guest: waiting for them, and copying bytes between them and local streams."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

import aiohttp
import click

from kobune.cli.targets import MACHINES
from kobune.kube.client.errors import ApiError, Conflict, Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["CHUNK_BYTES", "PROTOCOL", "chunks", "connect_when_ready", "join_stream"]

PROTOCOL = "plain.kubevirt.io"
CHUNK_BYTES = 64 * 1024


async def connect_when_ready(
    client: "HttpClient", path: str, name: str, timeout_s: float
) -> aiohttp.ClientWebSocketResponse:
    """Connect, waiting while there is no running guest yet; what is waited for is said whenever it changes.

    Raises the server's last answer when `timeout_s` is over, or at once when there is nothing that could run.
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
            state = await _state(client, path, name) if isinstance(error, NotFound) else str(error)
            if state is None:
                message = f"there is neither a VirtualMachine nor an instance {name} in namespace {_namespace(path)}"
                raise NotFound(404, "NotFound", message) from error
            if state != said:
                said = state
                left_s = deadline - loop.time()
                click.echo(f"Waiting for {name} (at most {_span(left_s)} more): {said}", err=True)
            await asyncio.sleep(min(1.0, max(0.05, deadline - loop.time())))


async def _state(client: "HttpClient", path: str, name: str) -> str | None:
    """What the VM says of itself while it has no instance; None when there is no VM either."""
    try:
        found = await client.raw("GET", f"/apis/kubevirt.io/v1/namespaces/{_namespace(path)}/{MACHINES}/{name}")
    except NotFound:
        return None
    except ApiError as error:
        return str(error)
    status = (json.loads(found).get("status") or {}).get("printableStatus") or "new"
    hint = f"; `kobune start {name}` starts it" if status == "Stopped" else ""
    return f"the VM is {status}{hint}"


def _namespace(path: str) -> str:
    return path.partition("/namespaces/")[2].partition("/")[0]


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


async def chunks(
    socket: aiohttp.ClientWebSocketResponse, closed: Callable[[int], None] = lambda _: None
) -> AsyncGenerator[bytes, None]:
    """What the guest says, as it comes; ends when the server closes, whose code `closed` is told.

    Raises aiohttp.ClientError when the connection breaks.
    """
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.ERROR:
            raise aiohttp.ClientError(str(message.data))
        if message.type is aiohttp.WSMsgType.CLOSE:
            # Not the socket's close_code: that says 1006 when the server did not wait for our answer.
            closed(message.data or aiohttp.WSCloseCode.OK)
        if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
            return
        yield message.data if isinstance(message.data, bytes) else str(message.data).encode()


async def join_stream(
    socket: aiohttp.ClientWebSocketResponse,
    read: Callable[[], Awaitable[bytes]],
    write: Callable[[bytes], Awaitable[None]],
    *,
    linger_s: float = 5.0,
) -> None:
    """Copy both ways until the guest's side ends; closes the socket.

    When the local side ends first, the guest's last words are awaited: a websocket has no half-close, so what the
    guest says for `linger_s` without a pause is all that can come.
    """
    heard = asyncio.Event()

    async def up() -> None:
        while chunk := await read():
            await socket.send_bytes(chunk)

    async def down() -> None:
        async for chunk in chunks(socket):
            heard.set()
            await write(chunk)

    sending, receiving = asyncio.create_task(up()), asyncio.create_task(down())
    try:
        await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        while not receiving.done() and not sending.cancelled() and sending.exception() is None:
            heard.clear()
            await asyncio.wait((receiving,), timeout=linger_s)
            if not heard.is_set():
                break
    finally:
        for task in (sending, receiving):
            task.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await socket.close()
