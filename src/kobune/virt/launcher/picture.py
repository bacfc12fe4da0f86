"""A screen's pixels as PNG. Pure.

Source: the portable pixmap format (P6), and the PNG specification (signature, IHDR, IDAT, IEND).
"""

import re
import struct
import zlib

from kobune.base.errors import TerminalError

__all__ = ["InvalidPicture", "png_from_pixmap"]

MAX_SIDE = 16_384
_HEADER = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s")


class InvalidPicture(TerminalError):
    """The hypervisor's picture is not understood."""


def png_from_pixmap(pixmap: bytes) -> bytes:
    """The PNG of a binary portable pixmap with 8 bits per colour. Raises InvalidPicture."""
    header = _HEADER.match(pixmap)
    if header is None:
        raise InvalidPicture("the screen's picture is no portable pixmap")
    width, height = int(header[1]), int(header[2])
    pixels = memoryview(pixmap)[header.end() :]
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or len(pixels) < width * height * 3:
        raise InvalidPicture(f"the screen's picture of {width} x {height} is not complete")
    compressor = zlib.compressobj(level=1)  # screens are mostly one colour: more effort gains little
    rows = []
    for row in range(height):
        rows.append(compressor.compress(b"\x00"))  # no filter
        rows.append(compressor.compress(pixels[row * width * 3 : (row + 1) * width * 3]))
    rows.append(compressor.flush())
    description = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", description) + _chunk(b"IDAT", b"".join(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
