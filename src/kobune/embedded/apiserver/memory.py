"""Gives memory back that a burst of work has left behind: garbage in cycles, and free pages of the C library's heap.

The collector runs rarely while requests are served (it would walk through every stored object's schema), and the
C library keeps what it has got. Both are made up for when the work that makes most of it has been done: definitions
that were added or changed, OpenAPI documents that were built.
"""

import asyncio
import ctypes
import gc
from collections.abc import Callable

__all__ = ["MemoryCare", "return_large_blocks", "settle"]

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 192 * 1024

QUIET_S = 2.0
"""No such work for this long: now nobody waits for it."""
TRIM_EVERY_S = 60.0


def settle() -> None:
    """Collect, then keep what is there out of later collections: most of it stays for long."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    # Collections of the oldest generation walk through all objects, so they are for quiet times.
    gc.set_threshold(20_000, 20, 50)


def return_large_blocks() -> None:
    """Large blocks come straight from the system and go back to it, for the life of the process.

    The C library stops doing so by itself once it has seen one freed. Each TLS connection has a buffer of 256 KiB of
    which only the first pages are ever used: taken from a heap that was full before, all of it would stay resident.
    One heap for all threads: only one of them runs Python at a time, and heaps of their own would stay half empty.
    """
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        library.mallopt(_M_ARENA_MAX, 1)
    except (OSError, AttributeError):
        return


def _trimmer() -> Callable[[], None]:
    """Gives free pages back to the system; nothing where the C library has no such function."""
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return lambda: None
    return lambda: function(0)


class MemoryCare:
    """A background task. `note` says that memory-hungry work was done."""

    def __init__(self) -> None:
        self._trim = _trimmer()
        self._noted = asyncio.Event()

    def note(self) -> None:
        """Tidy up soon, once it is quiet."""
        self._noted.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                async with asyncio.timeout(TRIM_EVERY_S):
                    await self._noted.wait()
            except TimeoutError:
                self._trim()
                continue
            while self._noted.is_set():
                self._noted.clear()
                await asyncio.sleep(QUIET_S)
            settle()
            self._trim()
