"""From pixels to PNG."""

import struct
import zlib

import pytest

from kobune.virt.launcher.picture import InvalidPicture, png_from_pixmap


def chunks(png: bytes) -> dict[bytes, bytes]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found: dict[bytes, bytes] = {}
    rest = png[8:]
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, data = rest[4:8], rest[8 : 8 + length]
        assert struct.unpack(">I", rest[8 + length : 12 + length])[0] == zlib.crc32(kind + data)
        found[kind] = data
        rest = rest[12 + length :]
    return found


def test_the_pixels_are_those_of_the_pixmap() -> None:
    pixels = bytes(range(18))
    found = chunks(png_from_pixmap(b"P6\n3 2\n255\n" + pixels))
    assert list(found) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", found[b"IHDR"]) == (3, 2, 8, 2, 0, 0, 0)
    assert zlib.decompress(found[b"IDAT"]) == b"\x00" + pixels[:9] + b"\x00" + pixels[9:]


@pytest.mark.parametrize(
    "pixmap",
    [
        b"",
        b"P5\n1 1\n255\nx",
        b"P6\n2 2\n255\nshort",
        b"P6\n0 1\n255\n",
        b"P6\n99999 99999\n255\n",
        b"P6\n1 1\n65535\nxxxxxx",
    ],
)
def test_what_is_no_picture_is_refused(pixmap: bytes) -> None:
    with pytest.raises(InvalidPicture):
        png_from_pixmap(pixmap)
