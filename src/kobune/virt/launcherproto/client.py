"""virt-handler's end of the line: one connection to one launcher.

Owns: request ids, matching replies, time limits, the peer's identity. It does not reconnect: a lost connection is
reported once by `on_close`, and whoever owns the client decides anew.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from kobune.base.errors import KobuneError
from kobune.host.unixsocket import SocketGone, UnsafeSocket, connect_socket
from kobune.virt.domain.facts import Facts
from kobune.virt.launcherproto.errors import ConnectionLost, ProtocolViolation, failure_error
from kobune.virt.launcherproto.framing import MAX_LINE_BYTES, decode_line, encode_line, read_line, read_message
from kobune.virt.launcherproto.messages import (
    PROTOCOL_VERSION,
    Command,
    DomainState,
    Done,
    DumpMemory,
    ExecResult,
    Failure,
    Filesystems,
    Freeze,
    GetFilesystems,
    GetGuestInfo,
    GetState,
    GetUsers,
    GuestExec,
    GuestInfo,
    GuestPing,
    Hello,
    Image,
    Kill,
    Pause,
    Reply,
    Request,
    Reset,
    Result,
    Screenshot,
    ServerMessage,
    Shutdown,
    SoftReboot,
    StateChanged,
    Subscribe,
    SyncVirtualMachine,
    Unfreeze,
    Unpause,
    Users,
)

__all__ = ["COMMAND_TIMEOUT_S", "START_TIMEOUT_S", "LauncherClient"]

DUMP_TIMEOUT_S = 900.0
"""A guest's whole memory goes to a disk."""
COMMAND_TIMEOUT_S = 15.0
START_TIMEOUT_S = 120.0
BURST = 400.0
PER_SECOND = 50.0
BYTES_PER_UNIT = 64 * 1024
"""What a launcher may say: a message counts as one and one more per 64 KiB; this much at once, and then per second.

Launchers face guests, and one that was taken over must not keep the line's reader from those of other guests. A guest
that is watched closely makes ten states in a second.
"""

log = logging.getLogger(__name__)

R = TypeVar("R")
_decoder: "msgspec.json.Decoder[Hello | Reply | StateChanged]" = msgspec.json.Decoder(ServerMessage)


def _ignore_state(_: DomainState) -> None:
    return


class LauncherClient:
    """Speaks to one launcher. Every method raises ConnectionLost, RetryableFailure or TerminalFailure.

    Made by `connect`. `peer_pid` is the launcher's process id in this process's pid namespace: it leads to the pod's
    network namespace and root directory (`/proc/PID/ns/net`, `/proc/PID/root`). `hello` says whose launcher it is.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        hello: Hello,
        on_state: Callable[[DomainState], None],
        on_close: Callable[[], None],
    ) -> None:
        self.hello = hello
        self.peer_pid = _peer_pid(writer)
        self._reader = reader
        self._writer = writer
        self._on_state = on_state
        self._on_close = on_close
        self._last_id = 0
        # Invariant: every id in `_open` was written and has neither been answered nor given up.
        self._open: dict[int, asyncio.Future[Result]] = {}
        self._closed = False
        self._allowance = BURST
        self._allowed_at_s = asyncio.get_running_loop().time()
        self._receiving = asyncio.create_task(self._receive(), name=f"launcher-{hello.namespace}/{hello.name}")

    @classmethod
    async def connect(
        cls,
        path: Path,
        *,
        timeout_s: float = 5.0,
        on_state: Callable[[DomainState], None] = _ignore_state,
        on_close: Callable[[], None] = lambda: None,
    ) -> "LauncherClient":
        """Connect to the launcher's socket.

        `on_state` gets each state after `subscribe`; `on_close` is called once when the connection has ended for
        any reason but `close`. Raises ConnectionLost when nobody listens within the time limit.
        """
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await connect_socket(path.parent, path.name, limit_bytes=MAX_LINE_BYTES)
                try:
                    hello = await read_message(reader, _decoder)
                    if not isinstance(hello, Hello):
                        raise ProtocolViolation(f"{path}: the first message is not Hello")
                    if hello.protocol != PROTOCOL_VERSION:
                        raise ProtocolViolation(
                            f"{path}: the launcher speaks protocol {hello.protocol}, this is {PROTOCOL_VERSION}"
                        )
                    return cls(reader, writer, hello, on_state, on_close)
                except BaseException:
                    writer.close()
                    raise
        except TimeoutError as error:
            raise ConnectionLost(f"{path}: no answer within {timeout_s:g} s") from error
        except (SocketGone, UnsafeSocket, OSError) as error:
            raise ConnectionLost(f"{path}: {error}") from error

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._closed

    async def close(self) -> None:
        """End the connection; open requests fail with ConnectionLost."""
        self._on_close = lambda: None
        self._receiving.cancel()
        await asyncio.gather(self._receiving, return_exceptions=True)
        self._finish()

    # --- commands: legality and meaning are told by the message of the same name ---

    async def subscribe(self) -> None:
        """See messages.Subscribe."""
        await self._call(Subscribe(), Done)

    async def get_state(self) -> DomainState:
        """See messages.GetState."""
        return await self._call(GetState(), DomainState)

    async def sync_virtual_machine(
        self, vmi: bytes, facts: Facts, *, timeout_s: float = START_TIMEOUT_S
    ) -> DomainState:
        """See messages.SyncVirtualMachine. `vmi` is the VirtualMachineInstance as JSON."""
        return await self._call(SyncVirtualMachine(vmi=msgspec.Raw(vmi), facts=facts), DomainState, timeout_s)

    async def shutdown(self, grace_s: float) -> DomainState:
        """See messages.Shutdown."""
        return await self._call(Shutdown(grace_s=grace_s), DomainState)

    async def kill(self) -> DomainState:
        """See messages.Kill."""
        return await self._call(Kill(), DomainState)

    async def pause(self) -> DomainState:
        """See messages.Pause."""
        return await self._call(Pause(), DomainState)

    async def unpause(self) -> DomainState:
        """See messages.Unpause."""
        return await self._call(Unpause(), DomainState)

    async def soft_reboot(self) -> None:
        """See messages.SoftReboot."""
        await self._call(SoftReboot(), Done)

    async def reset(self) -> None:
        """See messages.Reset."""
        await self._call(Reset(), Done)

    async def freeze(self, unfreeze_after_s: float = 0) -> None:
        """See messages.Freeze."""
        await self._call(Freeze(unfreeze_after_s=unfreeze_after_s), Done)

    async def unfreeze(self) -> None:
        """See messages.Unfreeze."""
        await self._call(Unfreeze(), Done)

    async def guest_info(self) -> GuestInfo:
        """See messages.GetGuestInfo."""
        return await self._call(GetGuestInfo(), GuestInfo)

    async def users(self) -> Users:
        """See messages.GetUsers."""
        return await self._call(GetUsers(), Users)

    async def filesystems(self) -> Filesystems:
        """See messages.GetFilesystems."""
        return await self._call(GetFilesystems(), Filesystems)

    async def guest_ping(self) -> None:
        """See messages.GuestPing."""
        await self._call(GuestPing(), Done)

    async def guest_exec(self, program: list[str], *, timeout_s: float = 5.0) -> ExecResult:
        """See messages.GuestExec."""
        return await self._call(GuestExec(program=program, timeout_s=timeout_s), ExecResult, timeout_s + 5.0)

    async def screenshot(self) -> Image:
        """See messages.Screenshot."""
        return await self._call(Screenshot(), Image)

    async def dump_memory(self, volume: str, file: str, *, timeout_s: float = DUMP_TIMEOUT_S) -> None:
        """See messages.DumpMemory."""
        await self._call(DumpMemory(volume=volume, file=file), Done, timeout_s)

    async def _call(self, command: Command, result_type: type[R], timeout_s: float = COMMAND_TIMEOUT_S) -> R:
        if self._closed:
            raise ConnectionLost("the connection to the launcher has ended")
        self._last_id += 1
        request_id = self._last_id
        line = encode_line(Request(id=request_id, command=command))
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._open[request_id] = answer
        try:
            async with asyncio.timeout(timeout_s):
                self._writer.write(line)
                await self._writer.drain()
                result = await answer
        except TimeoutError as error:
            raise ConnectionLost(f"{type(command).__name__}: no reply within {timeout_s:g} s") from error
        except OSError as error:
            raise ConnectionLost(f"{type(command).__name__}: {error}") from error
        finally:
            self._open.pop(request_id, None)
            # Writing may fail while the end of the connection answers all that waits: nobody awaits that answer then.
            if answer.done() and not answer.cancelled():
                answer.exception()
        if isinstance(result, Failure):
            raise failure_error(result)
        if not isinstance(result, result_type):
            raise ProtocolViolation(f"{type(command).__name__} was answered by {type(result).__name__}")
        return result

    async def _receive(self) -> None:
        try:
            while True:
                line = await read_line(self._reader)
                await self._pace(1 + len(line) / BYTES_PER_UNIT)
                message = decode_line(line, _decoder)
                if isinstance(message, StateChanged):
                    self._on_state(message.state)
                elif isinstance(message, Reply):
                    waiting = self._open.get(message.id)
                    if waiting is not None and not waiting.done():  # given up by its time limit otherwise
                        waiting.set_result(message.result)
        except ConnectionLost as error:
            log.debug("launcher of %s/%s: %s", self.hello.namespace, self.hello.name, error)
        except KobuneError as error:
            log.warning("launcher of %s/%s: %s", self.hello.namespace, self.hello.name, error)
        finally:
            self._finish()

    async def _pace(self, cost: float) -> None:
        """Wait until this message may be looked at; what is not read meanwhile holds up its sender alone."""
        now_s = asyncio.get_running_loop().time()
        self._allowance = min(BURST, self._allowance + (now_s - self._allowed_at_s) * PER_SECOND) - cost
        self._allowed_at_s = now_s
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / PER_SECOND)

    def _finish(self) -> None:
        if self._closed:
            return
        self._closed = True
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(ConnectionLost("the connection to the launcher has ended"))
        self._writer.close()
        self._on_close()


def _peer_pid(writer: asyncio.StreamWriter) -> int:
    peer: socket.socket = writer.get_extra_info("socket")
    pid, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)
