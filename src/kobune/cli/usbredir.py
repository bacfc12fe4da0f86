"""`kobune usbredir`: a USB device of this machine in a guest, by the program `usbredirect`.

Owns: how that program is started. Must not: touch USB devices or speak usbredir.
"""

import asyncio
import re
import shutil
from typing import Final

import click

from kobune.cli.localport import serve_one
from kobune.cli.session import Session, command
from kobune.cli.sockets import connect_when_ready
from kobune.cli.targets import kind_and_name, subresource
from kobune.cli.verb import verb

__all__ = ["device_words", "usbredir"]

PROGRAM: Final = "usbredirect"
_DEVICE: Final = re.compile(r"[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}|[0-9]{1,3}-[0-9]{1,3}")


def device_words(device: str) -> list[str]:
    """What usbredirect is told of a device: VENDOR:PRODUCT or BUS-DEVICE, as lsusb shows them. Pure."""
    if not _DEVICE.fullmatch(device):
        raise click.UsageError(f"{device!r} is no device: give VENDOR:PRODUCT or BUS-DEVICE, `lsusb` lists both")
    return ["--device", device]


@verb(
    "usbredir",
    ("Give the device 0951:1666 to demo", "kobune usbredir 0951:1666 demo"),
    ("The third one on the second bus", "kobune usbredir 2-3 demo"),
    ("Only the port, for a usbredir client of your own; prints it as JSON", "kobune usbredir demo --no-launch"),
)
@click.argument("words", nargs=-1, required=True, metavar="[VENDOR:PRODUCT|BUS-DEVICE] NAME")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address of this machine to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Local port; 0: a free one.")
@click.option("--no-launch", is_flag=True, help="Start no usbredirect: print the port and wait for one.")
@command
async def usbredir(session: Session, words: tuple[str, ...], address: str, port: int, no_launch: bool) -> int:
    """Redirect a USB device of this machine into a guest.

    The guest has it as long as the command runs; its VM needs `clientPassthrough: {}` in its devices.
    """
    device, target = ("", words) if no_launch else (words[0], words[1:])
    if not target:
        raise click.UsageError("name the device and the virtual machine: kobune usbredir 0951:1666 NAME")
    name = kind_and_name(target)
    arguments = device_words(device) if device else []
    program = shutil.which(PROGRAM) or ""
    if not no_launch and not program:
        raise click.ClickException(
            f"{PROGRAM} is not installed here: apt-get install {PROGRAM}, or use --no-launch with a client of your own"
        )

    async def start(host: str, local: int) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(program, *arguments, "--to", f"{host}:{local}")
        except OSError as error:
            raise click.ClickException(f"cannot start {program}: {error.strerror or error}") from error

    async with session.open() as (client, namespace):
        path = subresource(namespace, "virtualmachineinstances", name, "usbredir")
        socket = await connect_when_ready(client, path, name, 0)
        try:
            return await serve_one(
                socket,
                (address, port),
                what=f"USB redirection of {name}",
                program=PROGRAM,
                start=None if no_launch else start,
            )
        finally:
            await socket.close()
