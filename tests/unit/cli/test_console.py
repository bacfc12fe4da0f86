"""The console copies both ways and always ends: with the guest, with the server, or with the escape key."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from kobune.cli.app import app
from kobune.cli.targets import kind_and_name


@pytest.mark.parametrize(("words", "name"), [(("demo",), "demo"), (("vmi", "demo"), "demo"), (("VM/demo",), "demo")])
def test_a_target_is_a_name_with_or_without_its_kind(words: tuple[str, ...], name: str) -> None:
    assert kind_and_name(words) == name


def test_ending_a_guest_at_once_must_be_meant() -> None:
    result = CliRunner().invoke(app, ["stop", "demo", "--grace-period", "0"])
    assert result.exit_code == 2
    assert "add --force" in result.output


def test_an_unusable_kubeconfig_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("[]")
    result = CliRunner().invoke(app, ["start", "demo", "--kubeconfig", str(path)])
    assert result.exit_code == 1
    assert result.output == f"Error: {path} is no kubeconfig\n"


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[Path]:
    """A server whose console greets, echoes a line and asks for a login; the kubeconfig that leads to it."""

    async def console(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("plain.kubevirt.io",))
        await socket.prepare(request)
        await socket.send_bytes(b"booting\r\n")
        async for message in socket:
            await socket.send_bytes(b"demo login: " if message.data == b"\r" else message.data)
        return socket

    application = web.Application()
    root = "/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances/demo/console"
    application.router.add_get(root, console)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    path = tmp_path / "config"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        f"clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n"
        "users: [{name: a, user: {token: t}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n"
    )
    yield path
    await runner.cleanup()


async def run(*arguments: str, stdin: int) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kobune.main.entry", *arguments),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output


async def test_until_shows_the_console_and_wakes_a_silent_guest(guest: Path) -> None:
    status, output = await run(
        "console", "demo", "--until", "login: ", "--kubeconfig", str(guest), stdin=asyncio.subprocess.DEVNULL
    )
    assert (status, output) == (0, b"booting\r\ndemo login: ")


async def test_the_escape_key_leaves(guest: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"ls\x1d")
    status, output = await run("console", "demo", "--kubeconfig", str(guest), stdin=read)
    os.close(read)
    os.close(write)
    assert status == 0
    assert output.startswith(b"booting")


async def test_a_guest_that_is_not_there_is_reported_when_the_time_is_over(guest: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kobune.main.entry", "console", "other", "--timeout", "0", "--kubeconfig", str(guest)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"404" in errors
