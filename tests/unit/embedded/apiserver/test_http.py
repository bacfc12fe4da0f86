"""The HTTP adapter over real loopback connections, without TLS."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from kobune.embedded.apiserver.http import (
    HttpServer,
    Limits,
    PortInUse,
    Request,
    Response,
    StreamingResponse,
    TunnelResponse,
)
from kobune.embedded.apiserver.http.message import AnyResponse, Pieces, Stream, Transport

LIMITS = Limits(body=1000, target=500, headers=2000, header_count=20, idle_s=5.0, request_s=0.3)


class Echo:
    """Everything written comes back in capitals."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.lost = False

    def on_data(self, data: bytes) -> None:
        self._transport.write(data.upper())

    def on_pause(self, paused: bool) -> None:
        """Nothing to slow down."""

    def on_lost(self) -> None:
        self.lost = True


class Application:
    """Answers by path."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.closed = 0
        self.made = 0
        self.seen: list[Request] = []

    async def __call__(self, request: Request) -> AnyResponse:
        self.seen.append(request)
        if request.path == "/stream":
            return StreamingResponse(200, self._start, "text/plain")
        if request.path == "/tunnel":
            return TunnelResponse(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Echo)
        if request.path == "/pieces":
            return Response(200, content_type="text/plain", pieces=Pieces(32 << 20, self._parts()))
        if request.path == "/slow":
            await asyncio.sleep(0.05)
        if request.body_too_large:
            return Response(413, b"too large")
        return Response(200, request.body or request.path.encode(), "text/plain", warnings=('say "hi"',))

    def _parts(self) -> Iterator[bytes]:
        for number in range(512):
            self.made = number + 1
            yield bytes([65 + number % 26]) * (64 << 10)

    def _start(self, stream: Stream) -> None:
        self.streams.append(stream)
        stream.on_close(self._closed)
        stream.write(b"first")

    def _closed(self) -> None:
        self.closed += 1


class Client:
    """Bytes in, bytes out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def response(self) -> tuple[bytes, bytes]:
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            return head, await self.reader.readexactly(length)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
async def server(application: Application) -> AsyncIterator[HttpServer]:
    server = HttpServer(application, None, LIMITS)
    await server.start("127.0.0.1", 0)
    yield server
    await server.stop(grace_s=0.2)


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    yield Client(reader, writer)
    writer.close()


async def test_requests_share_a_connection(client: Client) -> None:
    for path in (b"/a", b"/b"):
        await client.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        head, body = await client.response()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b'Warning: 299 - "say \\"hi\\""\r\n' in head
        assert body == path


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    paths = [b"/slow", *(b"/%d" % n for n in range(30))]
    await client.send(b"".join(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths))
    assert [(await client.response())[1] for _ in paths] == paths


async def test_a_chunked_body_is_joined(client: Client, application: Application) -> None:
    await client.send(
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert (await client.response())[1] == b"abcde"


async def test_the_client_that_asks_first_is_told_to_go_on(client: Client) -> None:
    await client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert (await client.response())[0].startswith(b"HTTP/1.1 100")
    await client.send(b"ok")
    assert (await client.response())[1] == b"ok"


async def test_a_body_over_the_limit_is_answered_not_kept(client: Client, application: Application) -> None:
    await client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001)
    assert (await client.response())[1] == b"too large"
    assert application.seen[0].body == b""
    await client.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.response())[1] == b"/next"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"x" * 600 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * 3000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 30 + b"\r\n", b"431"),
        (b"\x00\x01\x02\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_proper_request_is_refused_and_the_connection_closed(
    client: Client, request_bytes: bytes, status: bytes
) -> None:
    await client.send(request_bytes)
    head, _ = await client.response()
    assert head.split(b" ")[1] == status
    assert b"Connection: close" in head
    assert await client.reader.read() == b""


async def test_a_request_that_never_ends_is_cut(client: Client) -> None:
    await client.send(b"GET / HTTP/1.1\r\nHost")
    async with asyncio.timeout(3):
        assert await client.reader.read() == b""


async def test_streams_come_in_chunks_and_end(client: Client, application: Application) -> None:
    await client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert await client.reader.readexactly(10) == b"5\r\nfirst\r\n"
    stream = application.streams[0]
    stream.write(b"second")
    stream.end()
    stream.write(b"nothing after the end")
    assert await client.reader.readexactly(16) == b"6\r\nsecond\r\n0\r\n\r\n"
    assert application.closed == 1
    await client.send(b"GET /after HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.response())[1] == b"/after"


async def test_a_client_that_leaves_closes_its_stream(client: Client, application: Application) -> None:
    await client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.reader.readuntil(b"first")
    client.writer.close()
    async with asyncio.timeout(3):
        while not application.closed:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_slow_reader_is_noticed(client: Client, application: Application) -> None:
    await client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.reader.readuntil(b"first")
    stream = application.streams[0]
    writable = asyncio.Event()
    async with asyncio.timeout(5):
        while not stream.paused:
            stream.write(b"x" * 65536)
            await asyncio.sleep(0)
        stream.on_writable(writable.set)
        while not writable.is_set():
            await client.reader.read(1 << 20)


async def test_an_upgraded_connection_is_a_pipe(client: Client) -> None:
    await client.send(b"GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
    assert (await client.response())[0].startswith(b"HTTP/1.1 101")
    assert await client.reader.readexactly(5) == b"EARLY"
    await client.send(b"late")
    assert await client.reader.readexactly(4) == b"LATE"


async def test_a_taken_port_is_its_own_error(server: HttpServer, application: Application) -> None:
    with pytest.raises(PortInUse) as error:
        await HttpServer(application, None).start("127.0.0.1", server.port)
    assert error.value.port == server.port


async def test_shutting_down_ends_streams_and_closes_every_connection(
    server: HttpServer, client: Client, application: Application
) -> None:
    await client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.reader.readuntil(b"first\r\n")
    started = asyncio.get_running_loop().time()
    await server.stop(grace_s=5.0)
    assert await client.reader.read() == b"0\r\n\r\n"
    assert asyncio.get_running_loop().time() - started < 1.0


async def test_a_large_body_is_made_while_it_is_read(client: Client, application: Application) -> None:
    await client.send(b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.3)
    made = application.made
    _, body = await client.response()
    assert body == b"".join(bytes([65 + number % 26]) * (64 << 10) for number in range(512))
    assert (await client.response())[1] == b"/next"
    # Loopback sockets hold some; what nobody has taken yet was not made at all.
    assert made < 512
    await client.send(b"HEAD /pieces HTTP/1.1\r\nHost: x\r\n\r\nGET /last HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(5):
        assert b"Content-Length: 33554432\r\n" in await client.reader.readuntil(b"\r\n\r\n")
    assert (await client.response())[1] == b"/last"
    assert application.made == 512
