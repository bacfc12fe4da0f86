"""Streams to a guest: each ends when either side ends, and says what went wrong."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSCloseCode, web

ROOT = "/apis/subresources.kubevirt.io/v1/namespaces/default"


@pytest.fixture
async def kubeconfig(tmp_path: Path) -> AsyncIterator[Path]:
    """Leads to a server whose guest `demo` echoes what it is sent on port 7, and shows a screen."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("plain.kubevirt.io",))
        await socket.prepare(request)
        async for message in socket:
            if message.data == b"bye":
                break
            await socket.send_bytes(message.data)
        await socket.close()
        return socket

    async def screen(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("plain.kubevirt.io",))
        await socket.prepare(request)
        await socket.send_bytes(b"RFB 003.008\n")
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket

    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=b"\x89PNG", content_type="image/png")

    async def taken(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("plain.kubevirt.io",))
        await socket.prepare(request)
        await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        return socket

    async def instance(_: web.Request) -> web.Response:
        return web.json_response({"status": {"phase": "Running"}})

    application = web.Application()
    application.router.add_get(f"{ROOT}/virtualmachines/demo/portforward/7/tcp", echo)
    application.router.add_get(f"{ROOT}/virtualmachines/demo/portforward/7/udp", echo)
    application.router.add_get(f"{ROOT}/virtualmachineinstances/demo/vnc", screen)
    application.router.add_get(f"{ROOT}/virtualmachineinstances/demo/vnc/screenshot", picture)
    application.router.add_get(f"{ROOT}/virtualmachineinstances/demo/usbredir", screen)
    application.router.add_get(f"{ROOT}/virtualmachineinstances/demo/console", taken)
    application.router.add_get("/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances/demo", instance)
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    path = tmp_path / "config"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        f"clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:{runner.addresses[0][1]}'}}}}]\n"
        "users: [{name: a, user: {token: t}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n"
    )
    yield path
    await runner.cleanup()


async def start(kubeconfig: Path, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kobune.main.entry", *arguments, "--kubeconfig", str(kubeconfig)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )


async def ended(process: asyncio.subprocess.Process, sent: bytes | None = None) -> tuple[int, bytes, bytes]:
    async with asyncio.timeout(30):
        output, errors = await process.communicate(sent)
    assert process.returncode is not None
    return process.returncode, output, errors


async def test_standard_streams_carry_bytes_until_the_guest_ends(kubeconfig: Path) -> None:
    process = await start(kubeconfig, "port-forward", "--stdio=true", "vm/demo", "7")
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(30):
        for chunk in (b"\x00\xff" * 40_000, b"x"):
            process.stdin.write(chunk)
            await process.stdin.drain()
            assert await process.stdout.readexactly(len(chunk)) == chunk
        process.stdin.write(b"bye")
        assert await process.stdout.read() == b""
        assert await process.wait() == 0


async def test_a_port_that_does_not_answer_is_told_on_the_error_stream(kubeconfig: Path) -> None:
    status, output, errors = await ended(await start(kubeconfig, "port-forward", "--stdio", "vm/demo", "8"))
    assert (status, output) == (1, b"")
    assert b"Error: " in errors


async def test_a_local_port_serves_many_connections(kubeconfig: Path) -> None:
    process = await start(kubeconfig, "port-forward", "vm/demo", "0:7")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
            assert line.startswith("forwarding tcp 127.0.0.1:")
            port = int(line.split(":")[1].split()[0])
            streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            for number, (reader, writer) in enumerate(streams):
                writer.write(b"hello %d" % number)
                assert await reader.readexactly(7) == b"hello %d" % number
            for reader, writer in streams:
                writer.write(b"bye")
                assert await reader.read() == b""
                writer.close()
    finally:
        process.kill()
        await process.communicate()


async def test_a_taken_local_port_is_told_with_another_one(kubeconfig: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    status, _, errors = await ended(await start(kubeconfig, "port-forward", "vm/demo", f"{port}:7"))
    server.close()
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{port}".encode() in errors
    assert b"choose another local port" in errors


async def test_the_screen_is_on_a_local_port_until_the_viewer_leaves(kubeconfig: Path) -> None:
    process = await start(kubeconfig, "vnc", "demo", "--proxy-only=true")
    assert process.stdout is not None
    async with asyncio.timeout(30):
        port = json.loads(await process.stdout.readline())["port"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readexactly(12) == b"RFB 003.008\n"
        writer.write(b"key")
        assert await reader.readexactly(3) == b"key"
        writer.close()
    status, _, errors = await ended(process)
    assert status == 0
    # A viewer that the user starts may take its time.
    assert b"waiting for a viewer; Ctrl-C ends it" in errors


async def test_a_viewer_is_started_with_the_port(kubeconfig: Path, tmp_path: Path) -> None:
    viewer = tmp_path / "vncviewer"
    viewer.write_text(
        f"#!{sys.executable}\nimport socket, sys\nhost, port = sys.argv[1].split('::')\n"
        "with socket.create_connection((host, int(port))) as screen: print(screen.recv(12).decode().strip())\n"
    )
    viewer.chmod(0o755)
    status, output, _ = await ended(await start(kubeconfig, "vnc", "demo", PATH=str(tmp_path)))
    assert (status, output) == (0, b"RFB 003.008\n")


async def test_without_a_viewer_the_way_out_is_named(kubeconfig: Path, tmp_path: Path) -> None:
    status, _, errors = await ended(await start(kubeconfig, "vnc", "demo", PATH=str(tmp_path)))
    assert status == 1
    assert b"install virt-viewer or tigervnc-viewer, or use --proxy-only" in errors


async def test_a_screenshot_goes_to_a_file_or_a_pipe(kubeconfig: Path, tmp_path: Path) -> None:
    path = tmp_path / "screen.png"
    status, output, _ = await ended(await start(kubeconfig, "vnc", "screenshot", "demo", "-f", str(path)))
    assert (status, output.decode()) == (0, f"Screen of demo saved to {path}\n")
    assert path.read_bytes() == b"\x89PNG"
    assert await ended(await start(kubeconfig, "vnc", "screenshot", "vm/demo")) == (0, b"\x89PNG", b"")


async def test_ssh_becomes_the_local_client(kubeconfig: Path, tmp_path: Path) -> None:
    client = tmp_path / "ssh"
    client.write_text(f"#!{sys.executable}\nimport sys\nprint('\\n'.join(sys.argv[1:]))\nsys.exit(7)\n")
    client.chmod(0o755)
    process = await start(kubeconfig, "ssh", "me@vm/demo", "-i", "/key", "-c", "id", PATH=str(tmp_path))
    status, output, _ = await ended(process)
    assert status == 7
    option, proxy, *rest = output.decode().splitlines()
    assert option == "-o"
    assert proxy.endswith(f"port-forward --kubeconfig {kubeconfig} --stdio=true vm/demo/default 22")
    assert rest == ["-i", "/key", "-l", "me", "vm.demo.default", "id"]


async def test_a_console_that_another_client_took_is_told(kubeconfig: Path) -> None:
    process = await start(kubeconfig, "console", "demo")
    async with asyncio.timeout(30):
        assert process.stderr is not None
        errors = await process.stderr.read()
        assert await process.wait() == 0
    process.stdin.close() if process.stdin else None
    assert b"Another client took the console of demo over; `kobune console demo` connects again" in errors


async def test_a_udp_port_has_a_tunnel_per_peer(kubeconfig: Path) -> None:
    process = await start(kubeconfig, "port-forward", "vm/demo", "udp/0:7")
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        port = int(line.split(":")[1].split()[0])
        assert line.startswith("forwarding udp 127.0.0.1:")
        peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for number, peer in enumerate(peers):
            peer.settimeout(10)
            peer.connect(("127.0.0.1", port))
            for message in (b"first", b"second"):
                peer.send(b"%d %b" % (number, message))
        for number, peer in enumerate(peers):
            heard = {await asyncio.to_thread(peer.recv, 100) for _ in range(2)}
            assert heard == {b"%d first" % number, b"%d second" % number}
            peer.close()
    finally:
        process.terminate()
        await process.wait()


async def test_usbredirect_is_given_the_device_and_a_port_that_leads_to_the_guest(
    kubeconfig: Path, tmp_path: Path
) -> None:
    program = tmp_path / "usbredirect"
    program.write_text(
        f"#!{sys.executable}\n"
        "import socket, sys\n"
        "assert sys.argv[1:4] == ['--device', '0951:1666', '--to'], sys.argv\n"
        "host, _, port = sys.argv[4].rpartition(':')\n"
        "with socket.create_connection((host, int(port))) as guest:\n"
        "    print(guest.recv(12), flush=True)\n"
    )
    program.chmod(0o755)
    process = await start(kubeconfig, "usbredir", "0951:1666", "demo", PATH=str(tmp_path))
    status, output, errors = await ended(process)
    assert (status, output) == (0, b"b'RFB 003.008\\n'\n"), errors


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("0951:1666", "demo"), b"usbredirect is not installed here"),
        (("disk", "demo"), b"give VENDOR:PRODUCT or BUS-DEVICE"),
        (("demo",), b"name the device and the virtual machine"),
    ],
)
async def test_usb_redirection_says_what_it_needs(
    kubeconfig: Path, tmp_path: Path, words: tuple[str, ...], why: bytes
) -> None:
    status, _, errors = await ended(await start(kubeconfig, "usbredir", *words, PATH=str(tmp_path)))
    assert status != 0
    assert why in errors
