"""The user's terminal as a byte stream: raw mode in, raw mode out, never left behind broken."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["raw_mode", "read_chunks", "write_all"]

CHUNK_BYTES = 4096


@contextmanager
def raw_mode(descriptor: int) -> Iterator[None]:
    """Raw mode while the block runs, if `descriptor` is a terminal; restored even on errors."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@asynccontextmanager
async def read_chunks(descriptor: int, size: int = CHUNK_BYTES) -> AsyncIterator[asyncio.Queue[bytes]]:
    """What is typed, as a bounded queue of chunks; an empty chunk is the end of input."""
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=64)
    loop = asyncio.get_running_loop()

    async def pump() -> None:
        while True:
            # A thread, because epoll refuses regular files and standard input may be one.
            chunk = await loop.run_in_executor(None, _read_if_ready, descriptor, size)
            if chunk is not None:
                await queue.put(chunk)
                if not chunk:
                    return

    task = asyncio.create_task(pump())
    try:
        yield queue
    finally:
        task.cancel()


def _read_if_ready(descriptor: int, size: int) -> bytes | None:
    """Wait at most 0.2 s, so that the thread never outlives the program by more than that."""
    import select

    ready, _, _ = select.select([descriptor], [], [], 0.2)
    return os.read(descriptor, size) if ready else None


def write_all(data: bytes) -> None:
    """Write to standard output at once, unbuffered."""
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]
