"""`kobune console`: the guest's serial console in this terminal."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import aiohttp
import click

from kobune.base.errors import KobuneError
from kobune.cli.session import Session, command
from kobune.cli.sockets import chunks, connect_when_ready
from kobune.cli.targets import kind_and_name, subresource
from kobune.cli.terminal import raw_mode, read_chunks, write_all
from kobune.cli.verb import verb

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["console", "why_it_ended"]

ESCAPE = b"\x1d"  # Ctrl-], and Ctrl-5 on most terminals
NUDGE_S = 2.0
REPLACED = aiohttp.WSCloseCode.POLICY_VIOLATION


@verb(
    "console",
    ("Connect to demo; wait up to 5 minutes until it runs", "kobune console demo"),
    ("Wait for an hour", "kobune console demo --timeout 60"),
    ("In a script: show the boot until the login appears", "kobune console demo --until 'login:'"),
)
@click.argument("target", nargs=-1, required=True, metavar="[vm|vmi] NAME")
@click.option("--timeout", default=5.0, show_default=True, help="Minutes to wait for the guest to run.")
@click.option("--until", metavar="TEXT", help="Only show the console, and leave when the guest prints TEXT.")
@command
async def console(session: Session, target: tuple[str, ...], timeout: float, until: str | None) -> int:
    """Connect this terminal to the serial console of a guest.

    Ctrl-] or Ctrl-5 leaves. One client has the console at a time: a new one takes it over.
    """
    name = kind_and_name(target)
    async with session.open() as (client, namespace):
        path = subresource(namespace, "virtualmachineinstances", name, "console")
        socket = await connect_when_ready(client, path, name, timeout * 60)
        try:
            if until is not None:
                return await _show_until(socket, until.encode(), name, timeout * 60)
            click.echo(f"Successfully connected to {name} console. Press Ctrl+] or Ctrl+5 to exit console.", err=True)
            codes: list[int] = []
            broken = await _attach(socket, codes)
            if broken is None:
                click.echo(f"\r\nLeft the console of {name}; the guest goes on.\r", err=True)
                return 0
            code = codes[0] if codes else None
            phase = "Running" if code == REPLACED else await _phase_after(client, namespace, name)
            click.echo(f"\r\n{why_it_ended(name, broken, code, phase)}\r", err=True)
            return 1 if broken else 0
        finally:
            await socket.close()


def why_it_ended(name: str, broken: str, close_code: int | None, phase: str) -> str:
    """What to tell when the console ended by itself; `phase` is the instance's now, empty when it is gone. Pure."""
    again = f"`kobune console {name}` connects again"
    if close_code == REPLACED:
        return f"Another client took the console of {name} over; {again} and takes it back."
    if not phase or phase in ("Succeeded", "Failed"):
        how = {"": "is gone", "Failed": "failed"}.get(phase, "has shut down")
        return f"The guest of {name} {how}; `kobune why vm {name}` says more, {again} once it runs."
    if broken:
        return f"Connection lost: {broken}. The guest is {phase}; {again}."
    return f"The console was closed though {name} is {phase}: another client took it, or the server restarts; {again}."


async def _phase_after(client: "HttpClient", namespace: str, name: str) -> str:
    """The phase once a guest that has just ended had time to be seen as ended."""
    phase = await _phase(client, namespace, name)
    for _ in range(6):
        if phase != "Running":
            break
        await asyncio.sleep(0.5)
        phase = await _phase(client, namespace, name)
    return phase


async def _phase(client: "HttpClient", namespace: str, name: str) -> str:
    """The instance's phase; empty when it is gone, Unknown when nobody answers."""
    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances/{name}"
    try:
        found = json.loads(await client.raw("GET", path, timeout_s=5.0))
    except KobuneError as error:
        return "" if getattr(error, "code", 0) == 404 else "Unknown"
    return str((found.get("status") or {}).get("phase") or "Pending")


async def _show_until(socket: aiohttp.ClientWebSocketResponse, text: bytes, name: str, timeout_s: float) -> int:
    """Print until `text` was seen: 0; 1 when the time is over or the console closed.

    A silent guest gets an Enter now and then, because its prompt may be older than this connection.
    """
    seen = b""
    said = chunks(socket)
    waiting = asyncio.ensure_future(anext(said))
    try:
        async with asyncio.timeout(timeout_s):
            while text not in seen:
                done, _ = await asyncio.wait([waiting], timeout=NUDGE_S)
                if not done:
                    await socket.send_bytes(b"\r")
                    continue
                chunk = waiting.result()
                write_all(chunk)
                seen = (seen + chunk)[-(len(text) + len(chunk)) :]
                waiting = asyncio.ensure_future(anext(said))
            return 0
    except TimeoutError:
        click.echo(f"\n{name} did not print {text.decode()!r} within {timeout_s:.0f} s", err=True)
    except StopAsyncIteration:
        click.echo(f"\nThe console closed before {name} printed {text.decode()!r}", err=True)
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    return 1


async def _attach(socket: aiohttp.ClientWebSocketResponse, codes: list[int]) -> str | None:
    """Copy both ways until it ends: None when the user left, else what broke, empty when the server closed it.

    The server's close code goes to `codes`.
    """

    async def to_screen() -> str | None:
        try:
            async for chunk in chunks(socket, codes.append):
                write_all(chunk)
        except aiohttp.ClientError as error:
            return str(error) or type(error).__name__
        return ""

    async def from_keyboard(keys: "asyncio.Queue[bytes]") -> str | None:
        while chunk := await keys.get():
            before, escape, _ = chunk.partition(ESCAPE)
            if before:
                await socket.send_bytes(before)
            if escape:
                return None
        # Standard input ended, as in a pipe: keep showing what the guest says.
        await asyncio.Event().wait()
        return None

    descriptor = sys.stdin.fileno()
    with raw_mode(descriptor):
        async with read_chunks(descriptor) as keys:
            tasks = [asyncio.create_task(to_screen()), asyncio.create_task(from_keyboard(keys))]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
    return next(iter(done)).result()
