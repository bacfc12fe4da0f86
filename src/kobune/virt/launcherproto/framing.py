"""Messages to lines and back: one JSON object per line, at most `MAX_LINE_BYTES` each.

Owns: the size limit and what happens beyond it. Must not know any command.
"""

import asyncio
from typing import TypeVar

import msgspec

from kobune.virt.launcherproto.errors import ConnectionLost, ProtocolViolation

__all__ = ["MAX_LINE_BYTES", "SOCKET_NAME", "decode_line", "encode_line", "read_line", "read_message"]

MAX_LINE_BYTES = 4 * 1024 * 1024
SOCKET_NAME = "launcher.sock"

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


def encode_line(message: msgspec.Struct) -> bytes:
    """The line of a message, with its newline. Raises ProtocolViolation when it is too long, or cannot be one."""
    try:
        line = _encoder.encode(message)
    except (UnicodeEncodeError, OverflowError) as error:
        raise ProtocolViolation(f"a message cannot be written: {error}") from error
    if b"\n" in line:  # only a Raw part can bring one in, as white space between tokens
        line = msgspec.json.format(line, indent=-1)
    if len(line) >= MAX_LINE_BYTES:
        raise ProtocolViolation(f"a message of {len(line)} bytes is over the limit of {MAX_LINE_BYTES}")
    return line + b"\n"


async def read_message(reader: asyncio.StreamReader, decoder: "msgspec.json.Decoder[T]") -> T:
    """The next message of a stream that was opened with `limit=MAX_LINE_BYTES`.

    Raises ConnectionLost at its end (a cut last line included) and ProtocolViolation for a line that is too long or
    no message.
    """
    return decode_line(await read_line(reader), decoder)


async def read_line(reader: asyncio.StreamReader) -> bytes:
    """The next line; raises as `read_message`."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        raise ConnectionLost("the connection was closed by the other side") from error
    except asyncio.LimitOverrunError as error:
        raise ProtocolViolation(f"a line is longer than {MAX_LINE_BYTES} bytes") from error
    except OSError as error:
        raise ConnectionLost(f"the connection broke: {error}") from error


def decode_line(line: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """The message in a line. Raises ProtocolViolation when it is none."""
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolViolation(f"a line is no message of this protocol: {error}", line) from error
