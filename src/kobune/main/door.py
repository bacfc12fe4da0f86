"""What other commands may ask of a running supervisor: a unix socket in its run directory, for its own user and root.

One connection is one request: a line of JSON in, lines of JSON out, the last of which tells the outcome. A connection
that ends without one means that the supervisor has ended. Owns the words on the wire; what they lead to is decided by
who takes the requests.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from kobune.base.errors import TerminalError

__all__ = ["Door", "NoAnswer", "Outcome", "RestoreRequest", "ask_restore", "open_door"]

NAME = "supervisor.sock"
REQUEST_LIMIT_BYTES = 64 << 10
REQUEST_TIMEOUT_S = 10.0


class NoAnswer(TerminalError):
    """The supervisor does not listen, or ended before it told how the request ended."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a request ended: `error` is empty when it was done."""

    error: str = ""
    created: str = ""
    replaced: str = ""


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    restore: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: progress or the outcome."""

    say: str = ""
    outcome: Outcome | None = None


class RestoreRequest:
    """A restore that somebody waits for. `finish` is called exactly once; who asked may be gone by then."""

    def __init__(self, file: Path, send: Callable[[_Answer], None]) -> None:
        self.file = file
        self._send = send
        self.finished = asyncio.Event()

    def say(self, line: str) -> None:
        """One line of progress for who waits."""
        self._send(_Answer(say=line))

    def finish(self, outcome: Outcome) -> None:
        """Tell how it ended."""
        self._send(_Answer(outcome=outcome))
        self.finished.set()


class Door:
    """Where requests come in; one at a time, a second one is refused."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[RestoreRequest] = asyncio.Queue()
        self._busy = False

    async def next(self) -> RestoreRequest:
        """The next request."""
        return await self._requests.get()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""

        def send(answer: _Answer) -> None:
            # Lines of progress are few and short: who does not read them fills no memory to speak of.
            if not writer.is_closing():
                writer.write(msgspec.json.encode(answer) + b"\n")

        with contextlib.closing(writer):
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    line = await reader.readline()
                request = msgspec.json.decode(line, type=_Request)
            except (TimeoutError, ValueError, OSError) as error:
                send(_Answer(outcome=Outcome(error=f"the request was not understood: {error}")))
                return
            if not _allowed(writer):
                send(_Answer(outcome=Outcome(error="only the instance's own user and root may ask this")))
            elif self._busy:
                send(_Answer(outcome=Outcome(error="another restore is under way: wait for its end")))
            else:
                await self._pass_on(RestoreRequest(Path(request.restore), send))
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    await writer.drain()

    async def _pass_on(self, request: RestoreRequest) -> None:
        self._busy = True
        try:
            self._requests.put_nowait(request)
            await request.finished.wait()
        finally:
            self._busy = False


def _allowed(writer: asyncio.StreamWriter) -> bool:
    peer: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid in (0, os.geteuid())


@asynccontextmanager
async def open_door(run_dir: Path) -> AsyncIterator[Door]:
    """Listen while the block runs; the caller holds the instance's lock."""
    door = Door()
    (run_dir / NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(run_dir) as address:
        listener.bind(address)
    (run_dir / NAME).chmod(0o600)
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(door.answer(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_unix_server(accept, sock=listener, limit=REQUEST_LIMIT_BYTES)
    try:
        yield door
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        (run_dir / NAME).unlink(missing_ok=True)


@contextmanager
def _short(run_dir: Path) -> Iterator[str]:
    """The socket's address through a descriptor: a path of its own may be longer than the 107 bytes of an address."""
    descriptor = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)


def ask_restore(run_dir: Path, file: Path, say: Callable[[str], None], timeout_s: float) -> Outcome:
    """Ask the running supervisor to restore `file`, and wait for the outcome. Raises NoAnswer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            with _short(run_dir) as address:
                connection.connect(address)
            connection.sendall(msgspec.json.encode(_Request(restore=str(file))) + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    answer = msgspec.json.decode(line, type=_Answer)
                    if answer.outcome is not None:
                        return answer.outcome
                    say(answer.say)
        except TimeoutError:
            raise NoAnswer(f"no outcome after {timeout_s:.0f} s; the instance goes on with it") from None
        except (OSError, ValueError) as error:
            raise NoAnswer(
                f"the running instance can't be asked ({error}): stop it with 'kobune down' first"
            ) from error
    raise NoAnswer("the instance ended before the restore did: 'kobune up' goes on with the old or the restored state")
