"""Disk images: inspect (as hostile input), overlay, create.

An image that somebody else made may name a backing file or an external data file (which would hand the guest a file
of the host), claim exabytes, or be crafted to keep qemu-img busy. So formats are told explicitly once known, only raw
and qcow2 are accepted, and qemu-img runs with limits of memory and time.
"""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from kobune.base.errors import TerminalError
from kobune.host.run import CommandFailed, CommandTimeout, Runner

__all__ = ["MAX_VIRTUAL_BYTES", "ImageInfo", "InvalidImage", "create_empty", "create_overlay", "inspect_image"]

MAX_VIRTUAL_BYTES = 64 * 1024**4
INSPECT_TIMEOUT_S = 10.0
CREATE_TIMEOUT_S = 30.0
_CPU_S = "10"
_ADDRESS_SPACE_BYTES = str(1024**3)

FORMATS = ("raw", "qcow2")


class InvalidImage(TerminalError):
    """The image is damaged, hostile or of a format that is not supported."""


class ImageInfo(Struct, frozen=True, kw_only=True, rename="kebab"):
    """What qemu-img says of an image; sizes in bytes."""

    format: str
    virtual_size: int
    actual_size: int = 0
    dirty_flag: bool = False
    backing_filename: str | None = None
    full_backing_filename: str | None = None
    format_specific: dict[str, msgspec.Raw] | None = None


class _Qcow2Data(Struct, frozen=True, kw_only=True, rename="kebab"):
    data_file: str | None = None
    data_file_raw: bool = False
    encrypt: dict[str, Any] | None = None
    corrupt: bool = False


async def inspect_image(
    runner: Runner, path: Path, *, format_hint: str | None = None, max_virtual_bytes: int = MAX_VIRTUAL_BYTES
) -> ImageInfo:
    """Format and size of an image, or InvalidImage saying why it must not be used.

    `format_hint` is what the caller already knows the format to be; a raw disk must be told as such, since a guest can
    write a qcow2 header into it.
    """
    command = ["qemu-img", "info", "--output=json", *(["-f", format_hint] if format_hint else []), str(path)]
    limited = ["prlimit", f"--cpu={_CPU_S}", f"--as={_ADDRESS_SPACE_BYTES}", "--", *command]
    try:
        output = (await runner.run(limited, timeout_s=INSPECT_TIMEOUT_S)).stdout
        info = msgspec.json.decode(output, type=ImageInfo)
        data = _qcow2_data(info)
    except CommandFailed as error:
        raise InvalidImage(f"{path}: qemu-img cannot read it: {error.stderr}") from error
    except CommandTimeout as error:
        raise InvalidImage(f"{path}: qemu-img did not get through it within {INSPECT_TIMEOUT_S:g} s") from error
    except msgspec.MsgspecError as error:
        raise InvalidImage(f"{path}: qemu-img's description of it is not understood: {error}") from error
    if info.format not in FORMATS:
        raise InvalidImage(f"{path}: its format is {info.format}; only {' and '.join(FORMATS)} can be used")
    if info.backing_filename or info.full_backing_filename:
        raise InvalidImage(f"{path}: it refers to a backing file ({info.backing_filename!r}), which is not allowed")
    if data.data_file is not None or data.data_file_raw:
        raise InvalidImage(f"{path}: it refers to an external data file ({data.data_file!r}), which is not allowed")
    if data.encrypt is not None:
        raise InvalidImage(f"{path}: it is encrypted, which is not supported")
    if data.corrupt:
        raise InvalidImage(f"{path}: it is marked as corrupt")
    if not 0 < info.virtual_size <= max_virtual_bytes:
        raise InvalidImage(
            f"{path}: its virtual size of {info.virtual_size} bytes is not between 1 and {max_virtual_bytes}"
        )
    return info


async def create_overlay(
    runner: Runner, path: Path, *, backing: Path, backing_format: str, virtual_size: int | None = None
) -> None:
    """Make a qcow2 image that keeps what is written and reads the rest from `backing`.

    Appears complete or not at all; an overlay that is already there is kept.
    """
    if _is_there(path):
        return
    size = [str(virtual_size)] if virtual_size is not None else []
    await _create(runner, path, ["-f", "qcow2", "-F", backing_format, "-b", str(backing)], size)


async def create_empty(runner: Runner, path: Path, *, virtual_size: int, image_format: str = "qcow2") -> None:
    """Make an empty image; one that is already there is kept."""
    if not _is_there(path):
        await _create(runner, path, ["-f", image_format], [str(virtual_size)])


def _is_there(path: Path) -> bool:
    return path.exists()


async def _create(runner: Runner, path: Path, options: list[str], size: list[str]) -> None:
    """Complete or not at all. Not synced: these images end with their pod, as a machine's loss of power ends it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        await runner.run(["qemu-img", "create", "-q", *options, str(temporary), *size], timeout_s=CREATE_TIMEOUT_S)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _qcow2_data(info: ImageInfo) -> _Qcow2Data:
    if info.format != "qcow2" or info.format_specific is None or "data" not in info.format_specific:
        return _Qcow2Data()
    return msgspec.json.decode(info.format_specific["data"], type=_Qcow2Data)
