"""Listening: TLS, the set of open connections, a shutdown that lets answers finish."""

import asyncio
import errno
import socket
import ssl

from kobune.base.errors import TerminalError
from kobune.embedded.apiserver.http.message import Handler
from kobune.embedded.apiserver.http.protocol import HttpProtocol, Limits

__all__ = ["HttpServer", "PortInUse", "reserve"]

_BACKLOG = 1024


class PortInUse(TerminalError):
    """Another program listens there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is in use by another program: stop it, or choose another port with --listen")
        self.host = host
        self.port = port


def reserve(host: str, port: int) -> socket.socket:
    """A socket bound to the address, before anything else is done for its sake. Raises PortInUse."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortInUse(host, port) from error
        raise
    return listening


class HttpServer:
    """Serves `handler`; `port` is the real one after `start`."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None, limits: Limits = Limits()) -> None:  # noqa: B008
        self._handler = handler
        self._tls = tls
        self._limits = limits
        self._connections: set[HttpProtocol] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises PortInUse."""
        await self.serve_on(reserve(host, port))

    async def serve_on(self, listening: socket.socket) -> None:
        """Listen on a socket that `reserve` bound."""
        self.port = listening.getsockname()[1]
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(self._handler, self._limits, self._connections),
            sock=listening,
            ssl=self._tls,
            backlog=_BACKLOG,
            ssl_handshake_timeout=15.0 if self._tls else None,
        )

    async def stop(self, grace_s: float = 3.0) -> None:
        """Accept nothing more, end watches, let running answers finish for at most `grace_s`, then cut."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.shut_down()
        deadline = asyncio.get_running_loop().time() + grace_s
        while self._connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)
