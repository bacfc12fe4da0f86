"""Runs a command in a container with its streams on a websocket.

The process is started through containerd's task API with named pipes, because that interface can end the input of a
process; CRI's streaming cannot over websockets. The process is killed when the client goes away.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from aiohttp import WSMsgType, web

from kobune.embedded.kubelet.server.channels import (
    CLOSE,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    StreamOptions,
    failure_status,
    parse_resize,
    status_for_exit,
)
from kobune.host.containerd import ContainerdClient, ContainerdError

__all__ = ["execute"]

_LOG = logging.getLogger(__name__)
CHUNK_BYTES = 32 << 10
DRAIN_S = 2.0
"""What a process wrote before its end is still delivered; a child of it that keeps the pipe open is not waited for."""


async def execute(
    socket: web.WebSocketResponse,
    containerd: ContainerdClient,
    container_id: str,
    command: Sequence[str],
    options: StreamOptions,
    run_dir: Path,
) -> None:
    """Until the command has ended or the client is gone; closes the socket."""
    exec_id = f"exec-{secrets.token_hex(8)}"
    pipes = run_dir / exec_id
    pipes.mkdir(mode=0o700)
    try:
        process = _Process(containerd, container_id, exec_id, pipes, options)
        try:
            await process.start(command)
        except (ContainerdError, OSError) as error:
            await _send(socket, failure_status(f"error executing command in container: {error}"))
        else:
            await process.serve(socket)
    finally:
        shutil.rmtree(pipes, ignore_errors=True)
    await socket.close()


class _Process:
    """One process and its pipes."""

    def __init__(
        self, containerd: ContainerdClient, container_id: str, exec_id: str, pipes: Path, options: StreamOptions
    ) -> None:
        self._containerd = containerd
        self._container_id = container_id
        self._exec_id = exec_id
        self._options = options
        self._stdin = pipes / "stdin" if options.stdin else None
        # The runtime wants both outputs of a process without a terminal, whether the client does or not.
        self._stdout = pipes / "stdout"
        self._stderr = None if options.tty else pipes / "stderr"
        self._outputs: list[tuple[int | None, int]] = []
        self._input: int | None = None

    async def start(self, command: Sequence[str]) -> None:
        """Start it; afterwards both ends of every pipe are open."""
        held: list[int] = []
        try:
            for path in (self._stdin, self._stdout, self._stderr):
                if path is not None:
                    os.mkfifo(path, 0o600)
                    # Holding both ends lets the other side open its own without waiting for us.
                    held.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            await self._containerd.exec_start(
                self._container_id,
                self._exec_id,
                command,
                tty=self._options.tty,
                stdin=self._stdin,
                stdout=self._stdout,
                stderr=self._stderr,
            )
            outputs = ((STDOUT, self._stdout, self._options.stdout), (STDERR, self._stderr, self._options.stderr))
            for channel, path, wanted in outputs:
                if path is not None:
                    self._outputs.append((channel if wanted else None, os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
            if self._stdin is not None:
                self._input = os.open(self._stdin, os.O_WRONLY | os.O_NONBLOCK)
        finally:
            for descriptor in held:
                os.close(descriptor)

    async def serve(self, socket: web.WebSocketResponse) -> None:
        """Move bytes until the process has ended; its exit status is the last message."""
        # An empty message tells the client that the command runs.
        await _send(socket, bytes([STDOUT if self._options.stdout else STDERR]))
        readers = [asyncio.create_task(_deliver(socket, channel, fd)) for channel, fd in self._outputs]
        exit_code = asyncio.create_task(self._containerd.exec_wait(self._container_id, self._exec_id))
        receiver = asyncio.create_task(self._receive(socket))
        try:
            await asyncio.wait({exit_code, receiver}, return_when=asyncio.FIRST_COMPLETED)
            if not exit_code.done():
                # The client is gone before the process.
                await self._containerd.exec_kill(self._container_id, self._exec_id)
                await asyncio.wait({exit_code}, timeout=DRAIN_S)
            elif readers:
                await asyncio.wait(readers, timeout=DRAIN_S)
            status = failure_status("the command's exit status is unknown")
            if exit_code.done() and exit_code.exception() is None:
                status = status_for_exit(exit_code.result())
            await _send(socket, status)
        finally:
            for task in [*readers, exit_code, receiver]:
                task.cancel()
            await asyncio.gather(*readers, exit_code, receiver, return_exceptions=True)
            self._close_input()
            with contextlib.suppress(ContainerdError):
                await self._containerd.exec_delete(self._container_id, self._exec_id)

    async def _receive(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                continue
            channel, payload = message.data[0], message.data[1:]
            if channel == STDIN and payload:
                await self._write(payload)
            elif channel == CLOSE and payload[:1] == bytes([STDIN]):
                await self._end_input()
            elif channel == RESIZE and self._options.tty:
                size = parse_resize(payload)
                if size is not None:
                    with contextlib.suppress(ContainerdError):
                        await self._containerd.exec_resize(self._container_id, self._exec_id, *size)

    async def _write(self, payload: bytes) -> None:
        """All of it, at the pace of the process: what is not read there is not read from the client."""
        view = memoryview(payload)
        while view and self._input is not None:
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                await _writable(self._input)
            except BrokenPipeError:
                self._close_input()

    async def _end_input(self) -> None:
        self._close_input()
        try:
            await self._containerd.close_stdin(self._container_id, self._exec_id)
        except ContainerdError as error:
            _LOG.debug("input of %s cannot be closed: %s", self._exec_id, error)

    def _close_input(self) -> None:
        if self._input is not None:
            os.close(self._input)
            self._input = None


async def _deliver(socket: web.WebSocketResponse, channel: int | None, descriptor: int) -> None:
    """Send a pipe's bytes until its end; a slow client slows the process down. Without a channel they are dropped."""
    try:
        while True:
            try:
                data = os.read(descriptor, CHUNK_BYTES)
            except BlockingIOError:
                await _readable(descriptor)
                continue
            if not data:
                return
            if channel is not None:
                await _send(socket, bytes([channel]) + data)
    finally:
        os.close(descriptor)


async def _send(socket: web.WebSocketResponse, message: bytes) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):
        await socket.send_bytes(message)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)
