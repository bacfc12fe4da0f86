"""Lets pods reach an API server that listens on the loopback address only.

Owns a listener on the pods' bridge that passes bytes through to the server; TLS and credentials are between pod and
server. Must not look into what it passes.
"""

import asyncio
import contextlib
import logging

__all__ = ["ApiProxy"]

_LOG = logging.getLogger(__name__)
CHUNK_BYTES = 64 << 10
MAX_CONNECTIONS = 512
CONNECT_TIMEOUT_S = 5.0


class ApiProxy:
    """One listener. Connections above the limit are closed at once."""

    def __init__(self, host: str, port: int, target_host: str, target_port: int) -> None:
        self.host = host
        self.port = port
        self._target = (target_host, target_port)
        self._server: asyncio.Server | None = None
        self._open = 0

    @property
    def listening(self) -> bool:
        """Whether pods are served."""
        return self._server is not None

    async def start(self) -> None:
        """Listen; repeatable. Raises OSError when the address is not there or taken."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.host, self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]
            _LOG.info("pods reach the API at %s:%d", self.host, self.port)

    async def close(self) -> None:
        """Stop listening; open connections end with their tasks."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open += 1
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                up_reader, up_writer = await asyncio.open_connection(*self._target)
        except (OSError, TimeoutError) as error:
            _LOG.debug("the API is not reached for a pod: %s", error)
            writer.close()
            self._open -= 1
            return
        try:
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        finally:
            self._open -= 1
            for end in (writer, up_writer):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end of one direction, which is passed on; the other goes on."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()
