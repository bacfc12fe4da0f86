"""A local UDP port in front of a guest's: one tunnel per local peer, opened by its first datagram.

At most 64 peers at a time, 64 datagrams waiting per peer, and a tunnel ends 60 s after the last datagram either way:
what is beyond is dropped, as networks do.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp

from kobune.base.errors import KobuneError
from kobune.cli.sockets import chunks

__all__ = ["DatagramForward"]

IDLE_S = 60.0
MAX_PEERS = 64
MAX_WAITING = 64

Connect = Callable[[], Awaitable[aiohttp.ClientWebSocketResponse]]


class DatagramForward(asyncio.DatagramProtocol):
    """Made by `listen`. `failed` is told why a tunnel broke."""

    def __init__(self, connect: Connect, failed: Callable[[Exception], None]) -> None:
        self._connect = connect
        self._failed = failed
        self._transport: asyncio.DatagramTransport | None = None
        self._peers: dict[Any, asyncio.Queue[bytes]] = {}
        self._tunnels: set[asyncio.Task[None]] = set()

    @classmethod
    async def listen(
        cls, address: str, port: int, connect: Connect, failed: Callable[[Exception], None]
    ) -> "DatagramForward":
        """Begin. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        _, forward = await loop.create_datagram_endpoint(lambda: cls(connect, failed), local_addr=(address, port))
        return forward

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def close(self) -> None:
        """End it and all tunnels."""
        for task in self._tunnels:
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """See asyncio."""
        queue = self._peers.get(addr)
        if queue is None:
            if len(self._peers) >= MAX_PEERS:
                return
            queue = self._peers[addr] = asyncio.Queue(maxsize=MAX_WAITING)
            task = asyncio.create_task(self._tunnel(addr, queue))
            self._tunnels.add(task)
            task.add_done_callback(self._tunnels.discard)
        if not queue.full():
            queue.put_nowait(data)

    async def _tunnel(self, peer: Any, queue: asyncio.Queue[bytes]) -> None:
        try:
            socket = await self._connect()
            try:
                await self._carry(socket, peer, queue)
            finally:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    await socket.close()
        except (KobuneError, aiohttp.ClientError, OSError) as error:
            self._failed(error)
        finally:
            self._peers.pop(peer, None)

    async def _carry(self, socket: aiohttp.ClientWebSocketResponse, peer: Any, queue: asyncio.Queue[bytes]) -> None:
        loop = asyncio.get_running_loop()
        seen_s = loop.time()

        async def up() -> None:
            nonlocal seen_s
            while True:
                await socket.send_bytes(await queue.get())
                seen_s = loop.time()

        async def down() -> None:
            nonlocal seen_s
            async for chunk in chunks(socket):
                seen_s = loop.time()
                assert self._transport is not None
                self._transport.sendto(chunk, peer)

        async def idle() -> None:
            while (left_s := seen_s + IDLE_S - loop.time()) > 0:  # noqa: ASYNC110 - time is what is waited for
                await asyncio.sleep(left_s)

        tasks = [asyncio.create_task(work()) for work in (up, down, idle)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
