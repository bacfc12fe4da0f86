"""A guest's stream ends at the client as it ended at the guest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import aiohttp
import pytest
from aiohttp import WSCloseCode, web
from aiohttp.test_utils import TestServer

from kobune.virt.admission.subresources.streams import join_udp, join_websockets

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def served(handler: Serve) -> TestServer:
    application = web.Application()
    application.router.add_get("/", handler)
    server = TestServer(application)
    await server.start_server()
    return server


@pytest.mark.parametrize("code", [WSCloseCode.OK, WSCloseCode.POLICY_VIOLATION])
async def test_the_client_is_told_how_the_guest_ended(code: WSCloseCode) -> None:
    async def guest(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(b"login: ")
        await socket.close(code=code)
        return socket

    guest_server = await served(guest)
    async with aiohttp.ClientSession() as session:

        async def relay(request: web.Request) -> web.StreamResponse:
            client = web.WebSocketResponse()
            await client.prepare(request)
            await join_websockets(client, await session.ws_connect(guest_server.make_url("/")))
            return client

        relay_server = await served(relay)
        async with session.ws_connect(relay_server.make_url("/")) as socket:
            assert (await socket.receive(timeout=10)).data == b"login: "
            assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == code
        await relay_server.close()
    await guest_server.close()


class Echo(asyncio.DatagramProtocol):
    """Answers each datagram with itself, in capitals; `lost` ones not at all."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data != b"lost":
            self.transport.sendto(data.upper(), addr)


async def test_datagrams_keep_their_bounds_and_may_be_lost() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]

    async def relay(request: web.Request) -> web.StreamResponse:
        client = web.WebSocketResponse()
        await client.prepare(request)
        await join_udp(client, "127.0.0.1", port)
        return client

    relay_server = await served(relay)
    async with aiohttp.ClientSession() as session, session.ws_connect(relay_server.make_url("/")) as socket:
        for message in (b"one", b"lost", b"x" * 70_000, b"two"):
            await socket.send_bytes(message)
        assert [(await socket.receive(timeout=10)).data for _ in range(2)] == [b"ONE", b"TWO"]
    transport.close()
    await relay_server.close()


async def test_a_udp_port_where_nobody_listens_ends_nothing() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    transport.close()
    await asyncio.sleep(0)

    async def relay(request: web.Request) -> web.StreamResponse:
        client = web.WebSocketResponse()
        await client.prepare(request)
        await join_udp(client, "127.0.0.1", port)
        return client

    relay_server = await served(relay)
    async with aiohttp.ClientSession() as session, session.ws_connect(relay_server.make_url("/")) as socket:
        await socket.send_bytes(b"too early")
        await asyncio.sleep(0.1)
        again, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", port))
        await socket.send_bytes(b"now")
        assert (await socket.receive(timeout=10)).data == b"NOW"
        again.close()
    await relay_server.close()
