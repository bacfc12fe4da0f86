"""What storage reads and writes at once, for guests that are to see the same sizes (`blockSize.matchVolume`)."""

import fcntl
import os
from dataclasses import replace
from typing import Final

from kobune.host.disk.image import InvalidImage
from kobune.virt.domain.document import DiskSource

__all__ = ["with_block_sizes"]

LOGICAL_SIZE, PHYSICAL_SIZE = 0x1268, 0x127B
"""The kernel's BLKSSZGET and BLKPBSZGET; the answer is an int."""
SMALLEST: Final = 512
LARGEST_OF_A_FILE: Final = 4096
"""Guests boot from no larger ones; a file system's block may be."""


def with_block_sizes(source: DiskSource) -> DiskSource:
    """The source with the sizes of its block device, or of the blocks of its file system. Raises InvalidImage."""
    try:
        if not source.block:
            size = min(max(os.statvfs(source.path).f_bsize, SMALLEST), LARGEST_OF_A_FILE)
            return replace(source, block_sizes=(size, size))
        descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return replace(source, block_sizes=(_ask(descriptor, LOGICAL_SIZE), _ask(descriptor, PHYSICAL_SIZE)))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InvalidImage(f"{source.path}: its block sizes cannot be found out: {error.strerror}") from error


def _ask(descriptor: int, question: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, question, bytes(4)), "little")
