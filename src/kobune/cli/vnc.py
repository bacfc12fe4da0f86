"""`kobune vnc`: a guest's screen through a TCP port of this machine, for any VNC viewer.

Owns: starting a viewer that is installed. Must not: speak RFB.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kobune.cli.files import write_whole
from kobune.cli.localport import serve_one
from kobune.cli.session import Session, command
from kobune.cli.sockets import connect_when_ready
from kobune.cli.targets import kind_and_name, subresource
from kobune.cli.terminal import write_all
from kobune.cli.verb import Verb, verb

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VIEWERS", "screenshot", "viewer_command", "vnc"]

# The arguments with which each viewer takes host and port.
VIEWERS: "Mapping[str, tuple[str, ...]]" = {
    "remote-viewer": ("vnc://{host}:{port}",),
    "vncviewer": ("{host}::{port}",),
    "xtigervncviewer": ("{host}::{port}",),
    "xvnc4viewer": ("{host}::{port}",),
}


VIEWER_TYPES: "Mapping[str, tuple[str, ...]]" = {
    "real": ("vncviewer",),
    "remote-viewer": ("remote-viewer",),
    "tiger": ("xtigervncviewer", "vncviewer"),
}
"""The programs of each kind of viewer, by virtctl's names."""


def viewer_command(
    installed: "Mapping[str, str]", host: str, port: int, vnc_path: str = "", vnc_type: str = ""
) -> list[str] | None:
    """The command line of the first viewer in `installed` (name to path), or of `vnc_path`; None without one. Pure."""
    programs = VIEWER_TYPES.get(vnc_type, tuple(VIEWERS))
    if vnc_path:
        name = next((name for name in programs if vnc_path.endswith(name)), programs[0] if vnc_type else "vncviewer")
        return [vnc_path, *(part.format(host=host, port=port) for part in VIEWERS[name])]
    for name in programs:
        if name in installed:
            return [installed[name], *(part.format(host=host, port=port) for part in VIEWERS[name])]
    return None


class _Vnc(Verb):
    """`kobune vnc screenshot NAME` is a command of its own, as in virtctl; `vnc vmi screenshot` is a machine."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the command that the first word chooses."""
        if args and args[0] == "screenshot":
            return screenshot.make_context(f"{info_name} screenshot", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@verb("screenshot", ("Look at demo's screen", "kobune vnc screenshot demo --file demo.png"))
@click.argument("target", nargs=-1, required=True, metavar="[vm|vmi] NAME")
@click.option("-f", "--file", "path", default="-", show_default=True, help="PNG file to write; - is standard output.")
@click.option("-m", "--move-cursor", is_flag=True, hidden=True, help="Refused: wake a screen by its console or viewer.")
@command
async def screenshot(session: Session, target: tuple[str, ...], path: str, move_cursor: bool) -> None:
    """Save the screen of a guest as a PNG file."""
    name = kind_and_name(target)
    if move_cursor:
        raise click.UsageError("--move-cursor is not there yet: wake the screen in a viewer (`kobune vnc`)")
    if path == "-" and sys.stdout.isatty():
        raise click.UsageError("a PNG is no text for a terminal: add --file screen.png")
    async with session.open() as (client, namespace):
        url = subresource(namespace, "virtualmachineinstances", name, "vnc/screenshot")
        picture = await client.raw("GET", url)
    if path == "-":
        write_all(picture)
        return
    try:
        write_whole(Path(path), picture)
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from error
    click.echo(f"Screen of {name} saved to {path}")


@verb(
    "vnc",
    ("Open demo's screen", "kobune vnc demo"),
    ("Only the port, for a viewer of your own; prints it as JSON", "kobune vnc demo --proxy-only --port 5900"),
    ("Save what is on the screen", "kobune vnc screenshot demo --file demo.png"),
    cls=_Vnc,
)
@click.argument("target", nargs=-1, required=True, metavar="[vm|vmi] NAME")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address of this machine to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Local port; 0: a free one.")
@click.option("--proxy-only", is_flag=True, help="Start no viewer: print the port and wait for one.")
@click.option("--vnc-type", type=click.Choice(sorted(VIEWER_TYPES)), help="Kind of viewer to start.")
@click.option("--vnc-path", default="", metavar="PATH", help="The viewer's program; default: one that is installed.")
@click.option("--timeout", default=0.0, show_default=True, help="Minutes to wait for the guest to run.")
@command
async def vnc(
    session: Session,
    target: tuple[str, ...],
    address: str,
    port: int,
    proxy_only: bool,
    vnc_type: str | None,
    vnc_path: str,
    timeout: float,
) -> int:
    """Open the screen of a guest in a VNC viewer.

    The screen is served on a local port to one viewer; the command ends with it.
    """
    name = kind_and_name(target)
    async with session.open() as (client, namespace):
        path = subresource(namespace, "virtualmachineinstances", name, "vnc")
        # First the guest: an error there is told before any viewer opens.
        socket = await connect_when_ready(client, path, name, timeout * 60)
        try:
            return await serve_one(
                socket,
                (address, port),
                what=f"Screen of {name}",
                program="viewer",
                start=None if proxy_only else lambda host, local: _start_viewer(host, local, vnc_type or "", vnc_path),
            )
        finally:
            await socket.close()


async def _start_viewer(host: str, port: int, vnc_type: str, vnc_path: str) -> asyncio.subprocess.Process:
    installed = {name: path for name in VIEWERS if (path := shutil.which(name))}
    words = viewer_command(installed, host, port, vnc_path, vnc_type)
    if words is None:
        kind = f" of type {vnc_type}" if vnc_type else ""
        raise click.ClickException(
            f"no VNC viewer{kind} is installed here: install virt-viewer or tigervnc-viewer, "
            "or use --proxy-only with yours"
        )
    try:
        return await asyncio.create_subprocess_exec(*words)
    except OSError as error:
        raise click.ClickException(f"cannot start {words[0]}: {error.strerror or error}") from error
