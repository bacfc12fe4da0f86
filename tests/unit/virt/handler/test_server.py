"""virt-handler's server over real TLS: who may call, streams with back-pressure, commands, errors."""

import asyncio
import base64
import os
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kobune.api.core import Secret
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.resource import Key
from kobune.kube.testing import eventually
from kobune.virt.handler.launchers import Launchers, pod_volume
from kobune.virt.handler.server.app import make_app
from kobune.virt.handler.server.tls import CLIENT_NAMES, ServerTls
from kobune.virt.launcherproto.fake import FakeLauncher
from kobune.virt.launcherproto.messages import DomainStatus, Pause, Unpause

KEY = Key("default", "vm")
PATH = "/v1/namespaces/default/virtualmachineinstances/vm"
(GOOD_NAME,) = CLIENT_NAMES


class Authority:
    """A certificate authority with one server and clients."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("authority", self.key, x509.BasicConstraints(ca=True, path_length=None))

    def _sign(self, name: str, key: Any, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        issuer = "authority"
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key, x509.SubjectAlternativeName([x509.DNSName("localhost")]))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), pem


AUTHORITY = Authority()


def secret(authority: Authority = AUTHORITY, name: str = "server") -> Secret:
    certificate, key = authority.issue(name)
    parts = {"tls.crt": certificate, "tls.key": key, "ca.crt": authority.pem}
    return Secret(data={name: base64.b64encode(value).decode() for name, value in parts.items()})


class World:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.launchers = Launchers(root, SystemClock(), lambda key: None)
        self.launcher = FakeLauncher(uid="uid-1", namespace="default", name="vm")
        self.tls = ServerTls(root / "tls")
        self.url = ""
        self.guest: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def start(self) -> web.AppRunner:
        (self.root / "s").mkdir()
        sockets, private = (pod_volume(self.root, "pod-1", name) for name in ("sockets", "private"))
        private.mkdir(parents=True)
        sockets.symlink_to(self.root / "s")
        await self.launcher.start(self.root / "s" / "launcher.sock")
        self.launchers.follow(KEY, "pod-1", "uid-1")
        self.launcher.change(status=DomainStatus.RUNNING)
        link = self.launchers.link(KEY)
        await eventually(lambda: link.view().connected and link.state is not None, "connected")
        self.tls.take(None, secret())
        runner = web.AppRunner(make_app(self.launchers, self.root, CLIENT_NAMES), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.tls.context).start()
        self.url = f"https://localhost:{runner.addresses[0][1]}"
        return runner

    async def console(self) -> asyncio.Server:
        """A guest's serial console: every connection is put into `guest`."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        directory = os.open(pod_volume(self.root, "pod-1", "private"), os.O_PATH)
        listener.bind(f"/proc/self/fd/{directory}/virt-serial0")
        os.close(directory)
        return await asyncio.start_unix_server(lambda *pair: self.guest.put_nowait(pair), sock=listener)

    def client(self, name: str | None = GOOD_NAME, authority: Authority = AUTHORITY) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if name is not None:
            certificate, key = authority.issue(name)
            (self.root / "client.pem").write_bytes(certificate + key)
            context.load_cert_chain(self.root / "client.pem")
        return aiohttp.ClientSession(self.url, connector=aiohttp.TCPConnector(ssl=context))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with TemporaryDirectory(prefix="kb-") as folder:
        world = World(Path(folder))
        runner = await world.start()
        try:
            yield world
        finally:
            await runner.cleanup()
            world.launchers.close()
            await world.launcher.stop()
            await asyncio.sleep(0.02)


async def test_without_a_client_certificate_nothing_is_served(world: World) -> None:
    for name, authority in ((None, AUTHORITY), (GOOD_NAME, Authority())):
        async with world.client(name, authority) as client:
            with pytest.raises(aiohttp.ClientError):
                await client.get("/healthz")


async def test_a_certificate_of_somebody_else_is_refused(world: World) -> None:
    async with world.client("kubelet") as client, client.put(f"{PATH}/pause") as answer:
        assert answer.status == 403
    assert world.launcher.commands == []


async def test_commands_reach_the_guest(world: World) -> None:
    async with world.client() as client:
        for verb in ("pause", "unpause", "softreboot", "reset"):
            async with client.put(f"{PATH}/{verb}") as answer:
                assert answer.status == 200
    assert [type(command) for command in world.launcher.commands][:2] == [Pause, Unpause]


async def test_failures_say_what_and_why(world: World) -> None:
    async with world.client() as client:
        async with client.put("/v1/namespaces/default/virtualmachineinstances/other/pause") as answer:
            assert (answer.status, (await answer.json())["reason"]) == (404, "NotFound")
        async with client.get(f"{PATH}/guestosinfo") as answer:
            status = await answer.json()
            assert (answer.status, status["kind"]) == (409, "Status")
            assert "agent" in status["message"]
        async with client.put(f"{PATH}/freeze", data=b"[]") as answer:
            assert answer.status == 400
        async with client.get(f"{PATH}/console") as answer:
            assert answer.status == 409, "no console yet"


async def test_the_agent_s_answers_are_kubevirt_s_objects(world: World) -> None:
    world.launcher.guest_gets_address("10.0.2.2")
    async with world.client() as client:
        for verb, kind in (
            ("guestosinfo", "VirtualMachineInstanceGuestAgentInfo"),
            ("userlist", "VirtualMachineInstanceGuestOSUserList"),
            ("filesystemlist", "VirtualMachineInstanceFileSystemList"),
        ):
            async with client.get(f"{PATH}/{verb}") as answer:
                assert (await answer.json())["kind"] == kind


async def test_the_console_copies_bytes_both_ways_until_the_guest_ends(world: World) -> None:
    server = await world.console()
    async with (
        server,
        world.client() as client,
        client.ws_connect(f"{PATH}/console", protocols=("plain.kubevirt.io",)) as console,
    ):
        assert console.protocol == "plain.kubevirt.io"
        reader, writer = await world.guest.get()
        await console.send_bytes(b"root\n")
        assert await reader.readexactly(5) == b"root\n"
        writer.write(b"\xff\x00login: ")
        assert await console.receive_bytes() == b"\xff\x00login: "
        writer.close()
        assert (await console.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_a_new_console_ends_the_old_one(world: World) -> None:
    server = await world.console()
    async with server, world.client() as client, client.ws_connect(f"{PATH}/console") as old:
        _, old_writer = await world.guest.get()
        async with client.ws_connect(f"{PATH}/console") as new:
            _, writer = await world.guest.get()
            closed = await old.receive()
            assert closed.type is aiohttp.WSMsgType.CLOSE
            assert closed.data == aiohttp.WSCloseCode.POLICY_VIOLATION
            writer.write(b"still here")
            assert await new.receive_bytes() == b"still here"
            old_writer.close()
            writer.close()


async def test_a_slow_reader_stops_the_guest_and_loses_nothing(world: World) -> None:
    server = await world.console()
    async with server, world.client() as client, client.ws_connect(f"{PATH}/console") as console:
        _, writer = await world.guest.get()
        block, blocks = b"x" * 65536, 400
        writing = asyncio.create_task(_write(writer, block, blocks))
        await asyncio.sleep(0.2)
        assert not writing.done(), "25 MB fit nowhere: the guest has to wait"
        got = 0
        while got < len(block) * blocks:
            got += len(await console.receive_bytes())
        await writing
        writer.close()


async def _write(writer: asyncio.StreamWriter, block: bytes, blocks: int) -> None:
    for _ in range(blocks):
        writer.write(block)
        await writer.drain()


async def test_a_link_in_place_of_the_console_is_not_followed(world: World) -> None:
    reached: list[object] = []

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer)
        writer.close()

    host = await asyncio.start_unix_server(accept, world.root / "host.sock")
    (pod_volume(world.root, "pod-1", "private") / "virt-serial0").symlink_to(world.root / "host.sock")
    async with host, world.client() as client, client.get(f"{PATH}/console") as answer:
        assert answer.status in (409, 500)
    assert reached == []


async def test_a_new_certificate_is_taken_over_and_a_broken_one_is_not(world: World) -> None:
    async def serial() -> int:
        _, writer = await asyncio.open_connection(
            "localhost", int(world.url.rpartition(":")[2]), ssl=_any_server(world)
        )
        certificate = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.close()
        return x509.load_der_x509_certificate(certificate).serial_number

    before = await serial()
    world.tls.take(None, Secret(data={"tls.crt": "bm9uZQ=="}))
    assert await serial() == before
    world.tls.take(None, secret())
    assert await serial() != before
    assert (world.root / "tls" / "tls.key").stat().st_mode & 0o777 == 0o600


def _any_server(world: World) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    certificate, key = AUTHORITY.issue(GOOD_NAME)
    (world.root / "any.pem").write_bytes(certificate + key)
    context.load_cert_chain(world.root / "any.pem")
    return context
