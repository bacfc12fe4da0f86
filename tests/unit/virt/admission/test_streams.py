"""A guest's stream ends at the client as it ended at the guest."""

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import WSCloseCode, web
from aiohttp.test_utils import TestServer

from kobune.virt.admission.subresources.streams import join_websockets

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
