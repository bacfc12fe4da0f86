"""`kobune port-forward`: local TCP and UDP ports, or standard input and output, joined with a port of a guest."""

import asyncio
import contextlib
import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import aiohttp
import click

from kobune.base.errors import KobuneError
from kobune.cli.datagrams import DatagramForward
from kobune.cli.hints import explained
from kobune.cli.session import Session, command
from kobune.cli.sockets import CHUNK_BYTES, PROTOCOL, join_stream
from kobune.cli.targets import Target, older_reading, parse_target, subresource
from kobune.cli.terminal import read_chunks, write_all
from kobune.cli.verb import verb
from kobune.kube.client.errors import NotFound, UnexpectedStatus

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["PortPair", "parse_ports", "port_forward"]


@dataclass(frozen=True, slots=True)
class PortPair:
    """A local port (0: any free one) and the guest's; `protocol` is tcp or udp."""

    local: int
    remote: int
    protocol: str = "tcp"


def parse_ports(text: str) -> PortPair:
    """`[PROTOCOL/]LOCAL[:GUEST]`. Raises UsageError."""
    match = re.fullmatch(r"(?:(tcp|udp)/)?(\d{1,5})(?::(\d{1,5}))?", text)
    if match is None:
        raise click.UsageError(f"{text!r} is no port: write PORT or LOCAL:GUEST, such as 8080:80 or udp/5353:53")
    local, remote = int(match[2]), int(match[3] or match[2])
    if local > 65535 or not 0 < remote < 65536:
        raise click.UsageError(f"{text!r}: ports are 1 to 65535")
    return PortPair(local, remote, match[1] or "tcp")


@verb(
    "port-forward",
    ("Local port 8080 to port 80 of demo", "kobune port-forward vm/demo 8080:80"),
    ("The same port on both sides, open to the network", "kobune port-forward --address 0.0.0.0 vm/demo 8080"),
    ("A UDP port", "kobune port-forward vm/demo udp/5353:53"),
    ("As ssh's ProxyCommand", "ssh -o 'ProxyCommand=kobune port-forward --stdio=true vm/demo 22' kobune@demo"),
)
@click.argument("target", metavar="[vm|vmi]/NAME[/NAMESPACE]")
@click.argument("ports", nargs=-1, required=True, metavar="[PROTOCOL/][LOCAL:]GUEST...")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address of this machine to listen on.")
@click.option("--stdio", is_flag=True, help="Join standard input and output with one port instead of listening.")
@click.option("--vsock", is_flag=True, hidden=True, help="Refused: guests are reached by their network.")
@click.option("--vsock-tls", is_flag=True, hidden=True, help="Goes with --vsock.")
@command
async def port_forward(
    session: Session, target: str, ports: tuple[str, ...], address: str, stdio: bool, vsock: bool, vsock_tls: bool
) -> None:
    """Forward local ports to a guest.

    Runs until Ctrl-C. The guest must serve the port on its pod network; its firewall counts. PROTOCOL is tcp (the
    default) or udp; with --stdio, each read of standard input becomes one datagram.
    """
    where, pairs = parse_target(target), [parse_ports(text) for text in ports]
    if stdio and len(pairs) != 1:
        raise click.UsageError("--stdio takes one port")
    if vsock:
        raise click.UsageError("--vsock: guests are reached by their network; leave it out")
    async with session.open() as (client, namespace):
        forward = _Forward(client, where if where.namespace else replace(where, namespace=namespace))
        if stdio:
            await forward.standard_streams(pairs[0])
        else:
            await forward.listen(address, pairs)


class _Forward:
    def __init__(self, client: "HttpClient", target: Target) -> None:
        self._client = client
        self._target = target

    async def connect(self, pair: PortPair) -> aiohttp.ClientWebSocketResponse:
        """A tunnel to the guest's port."""
        try:
            return await self._connect(self._target, pair)
        except NotFound:
            older = older_reading(self._target)
            if older is None:
                raise
            try:
                socket = await self._connect(older, pair)
            except NotFound:
                older = None
            if older is None:
                # What was asked for is what is not there.
                raise
            self._target = older
            click.echo(
                f"Warning: NAME.NAMESPACE is an old form: write {older.short_kind}/{older.name}/{older.namespace}",
                err=True,
            )
            return socket

    async def _connect(self, target: Target, pair: PortPair) -> aiohttp.ClientWebSocketResponse:
        verb = f"portforward/{pair.remote}/{pair.protocol}"
        path = subresource(target.namespace, target.plural, target.name, verb)
        try:
            return await self._client.connect_websocket(path, protocols=(PROTOCOL,))
        except UnexpectedStatus as error:
            if error.reason != "UpgradeRefused":
                raise
            # Refused, and not any more when the client asked why: the guest has just begun to listen.
            return await self._client.connect_websocket(path, protocols=(PROTOCOL,))

    async def standard_streams(self, pair: PortPair) -> None:
        """Until the guest's side or standard input ends."""
        socket = await self.connect(pair)
        loop = asyncio.get_running_loop()

        async def write(chunk: bytes) -> None:
            # In a thread: standard output may be a pipe that nobody empties, or a file that epoll refuses.
            await loop.run_in_executor(None, write_all, chunk)

        async with read_chunks(sys.stdin.fileno(), CHUNK_BYTES) as keys:
            await join_stream(socket, keys.get, write)

    async def listen(self, address: str, pairs: list[PortPair]) -> None:
        """Until cancelled."""
        async with contextlib.AsyncExitStack() as stack:
            for pair in pairs:
                if pair.protocol == "udp":
                    datagrams = await self._serve_datagrams(address, pair)
                    stack.callback(datagrams.close)
                    host, local = datagrams.address
                else:
                    server = await self._serve(address, pair)
                    stack.push_async_callback(_close, server)
                    host, local = server.sockets[0].getsockname()[:2]
                click.echo(f"forwarding {pair.protocol} {host}:{local} to {pair.remote}")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                # Ctrl-C is how it ends, so it is no failure.
                click.echo("\nStopped forwarding", err=True)

    async def _serve_datagrams(self, address: str, pair: PortPair) -> DatagramForward:
        def failed(error: Exception) -> None:
            told = explained(error) if isinstance(error, KobuneError) else error
            click.echo(f"udp tunnel to {pair.remote} broke: {told}", err=True)

        try:
            return await DatagramForward.listen(address, pair.local, lambda: self.connect(pair), failed)
        except OSError as error:
            raise _taken(address, pair, error) from error

    async def _serve(self, address: str, pair: PortPair) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            click.echo(f"opening new tcp tunnel to {pair.remote}", err=True)
            try:
                await self._tunnel(reader, writer, pair)
            except KobuneError as error:
                click.echo(f"error opening tcp tunnel to {pair.remote}: {explained(error)}", err=True)
            except (aiohttp.ClientError, OSError) as error:
                click.echo(f"tcp tunnel to {pair.remote} broke: {error}", err=True)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

        try:
            return await asyncio.start_server(serve, address, pair.local, limit=CHUNK_BYTES)
        except OSError as error:
            raise _taken(address, pair, error) from error

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: PortPair) -> None:
        async def read() -> bytes:
            return await reader.read(CHUNK_BYTES)

        async def write(chunk: bytes) -> None:
            writer.write(chunk)
            await writer.drain()

        await join_stream(await self.connect(pair), read, write)


def _taken(address: str, pair: PortPair, error: OSError) -> click.ClickException:
    other = pair.local + 1 if pair.local < 65535 else 8080
    return click.ClickException(
        f"cannot listen on {address}:{pair.local}: {error.strerror or error}; "
        f"choose another local port, such as {other}:{pair.remote}"
    )


async def _close(server: asyncio.Server) -> None:
    server.close()
