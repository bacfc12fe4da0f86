"""virt-launcher's end of the line: the socket, its connections, and pushing states to subscribers.

Owns: who may connect, decoding, ordering and back-pressure. What a command does is the service's (`Service`).

Back-pressure: a connection runs at most `MAX_OPEN_REQUESTS` commands at a time and reads no further until one ends.
A subscriber has room for one state: a newer one replaces it, so that a slow reader costs nothing.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from kobune.base.errors import KobuneError
from kobune.virt.launcherproto.errors import ConnectionLost, ProtocolViolation
from kobune.virt.launcherproto.framing import MAX_LINE_BYTES, encode_line, read_message
from kobune.virt.launcherproto.messages import (
    Command,
    DomainState,
    Done,
    ErrorCode,
    Failure,
    GetState,
    Hello,
    Reply,
    Request,
    Result,
    StateChanged,
    Subscribe,
)
from kobune.virt.launcherproto.text import MAX_MESSAGE, readable

__all__ = ["MAX_OPEN_REQUESTS", "LauncherServer", "Refusal", "Service"]

MAX_OPEN_REQUESTS = 16

log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(Request)


class _RequestId(msgspec.Struct):
    id: int


class Refusal(KobuneError):
    """Raised by a service to answer with a failure."""

    def __init__(self, code: ErrorCode, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.failure = Failure(code=code, message=readable(message, MAX_MESSAGE), field=field)


class Service(Protocol):
    """What stands behind the socket."""

    @property
    def state(self) -> DomainState:
        """The state now."""
        ...

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change of the state, until the returned function is called."""
        ...

    async def execute(self, command: Command) -> Result:
        """Carry out any command but Subscribe and GetState. Raises Refusal."""
        ...


class LauncherServer:
    """Listens on a unix socket until `close`."""

    def __init__(self, service: Service, hello: Hello) -> None:
        self._service = service
        self._hello = hello
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    async def listen(self, path: Path) -> None:
        """Bind `path`, replacing a socket that a former process left there."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, temporary, limit=MAX_LINE_BYTES)
        temporary.chmod(0o600)
        # The rename makes the socket appear only once it can be connected to and has its mode.
        temporary.rename(path)

    async def flush(self, timeout_s: float) -> None:
        """Wait until every subscriber was sent the state now, at most that long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for connection in list(self._connections.values()):
                    await connection.delivered(self._service.state.sequence)

    async def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = _peer_uid(writer)
        if uid not in (0, os.geteuid()):
            log.warning("refused a connection of uid %d", uid)
            writer.close()
            return
        connection = _Connection(self._service, reader, writer)
        task = asyncio.create_task(connection.serve(self._hello))
        self._connections[task] = connection
        task.add_done_callback(lambda done: self._connections.pop(done, None))


class _Connection:
    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service = service
        self._reader = reader
        self._writer = writer
        self._slots = asyncio.Semaphore(MAX_OPEN_REQUESTS)
        self._changed = asyncio.Event()
        self._subscribed = False
        self._sent = -1
        self._ended = False
        self._progress = asyncio.Event()

    async def delivered(self, sequence: int) -> None:
        """Return once that state was sent, or there is nobody to send it to."""
        while self._subscribed and not self._ended and self._sent < sequence:
            self._progress.clear()
            await self._progress.wait()

    async def serve(self, hello: Hello) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._send(hello)
                while True:
                    await self._slots.acquire()
                    request = await self._next_request()
                    if isinstance(request.command, Subscribe) and not self._subscribed:
                        self._subscribed = True
                        tasks.create_task(self._push())
                    tasks.create_task(self._answer(request))
        except* ConnectionLost:
            pass
        except* ProtocolViolation as group:
            log.warning("connection closed: %s", group.exceptions[0])
        except* OSError as group:
            log.debug("connection broke: %s", group.exceptions[0])
        finally:
            self._ended = True
            self._progress.set()
            self._writer.close()

    async def _next_request(self) -> Request:
        """The next request; one that is not understood but has an id is answered, for a newer virt-handler's sake."""
        while True:
            try:
                return await read_message(self._reader, _decoder)
            except ProtocolViolation as error:
                try:
                    request_id = msgspec.json.decode(error.line, type=_RequestId).id
                except msgspec.MsgspecError:
                    raise error from None
                await self._send(Reply(id=request_id, result=Failure(code=ErrorCode.BAD_REQUEST, message=str(error))))

    async def _answer(self, request: Request) -> None:
        try:
            result = await self._result(request.command)
            try:
                await self._send(Reply(id=request.id, result=result))
            except ProtocolViolation as error:
                # What a guest or an image says must not cost virt-handler the connection.
                log.warning("the answer to %s cannot be sent: %s", type(request.command).__name__, error)
                await self._send(Reply(id=request.id, result=Failure(code=ErrorCode.INTERNAL, message=str(error))))
        finally:
            self._slots.release()

    async def _result(self, command: Command) -> Result:
        try:
            if isinstance(command, Subscribe):
                return Done()
            if isinstance(command, GetState):
                return self._service.state
            return await self._service.execute(command)
        except Refusal as refusal:
            return refusal.failure
        except Exception as error:
            log.exception("%s failed", type(command).__name__)
            return Failure(code=ErrorCode.INTERNAL, message=f"{type(command).__name__}: {error}")

    async def _push(self) -> None:
        """Send the newest state whenever there is one that this subscriber has not got."""
        unwatch = self._service.watch(self._changed.set)
        try:
            while True:
                state = self._service.state
                if state.sequence != self._sent:
                    await self._send(StateChanged(state=state))
                    self._sent = state.sequence
                    self._progress.set()
                    continue
                self._changed.clear()
                await self._changed.wait()
        finally:
            unwatch()

    async def _send(self, message: msgspec.Struct) -> None:
        try:
            self._writer.write(encode_line(message))
            await self._writer.drain()
        except OSError as error:
            raise ConnectionLost(str(error)) from error


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    peer: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
