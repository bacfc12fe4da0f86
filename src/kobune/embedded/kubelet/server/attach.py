"""Attaches a websocket to a container's own streams, through the runtime's streaming server.

Both sides speak the same channel framing; only the end of the input, which the runtime's version of it cannot
express, is told to containerd directly.
"""

import asyncio
import contextlib

import aiohttp
from aiohttp import WSMsgType, web

from kobune.embedded.kubelet.server.channels import CLOSE, STDIN, failure_status
from kobune.host.containerd import ContainerdClient, ContainerdError

__all__ = ["attach"]

CONNECT_TIMEOUT_S = 10.0


async def attach(socket: web.WebSocketResponse, url: str, containerd: ContainerdClient, container_id: str) -> None:
    """Until either side ends; closes the socket."""
    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                runtime = await session.ws_connect(url, protocols=("v4.channel.k8s.io",), max_msg_size=4 << 20)
        except (aiohttp.ClientError, TimeoutError) as error:
            await socket.send_bytes(failure_status(f"error attaching to container: {error}"))
            await socket.close()
            return
        async with runtime:
            upward = asyncio.create_task(_to_client(runtime, socket))
            downward = asyncio.create_task(_to_runtime(socket, runtime, containerd, container_id))
            _, pending = await asyncio.wait({upward, downward}, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(upward, downward, return_exceptions=True)
    with contextlib.suppress(ConnectionError, RuntimeError):
        await socket.close()


async def _to_client(runtime: aiohttp.ClientWebSocketResponse, socket: web.WebSocketResponse) -> None:
    async for message in runtime:
        if message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)


async def _to_runtime(
    socket: web.WebSocketResponse,
    runtime: aiohttp.ClientWebSocketResponse,
    containerd: ContainerdClient,
    container_id: str,
) -> None:
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        if message.data[0] == CLOSE:
            if message.data[1:2] == bytes([STDIN]):
                with contextlib.suppress(ContainerdError):
                    await containerd.close_stdin(container_id)
            continue
        await runtime.send_bytes(message.data)
