"""What goes over the socket, byte by byte: limits, strangers, slow readers, broken peers."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kobune.virt.domain.facts import Facts
from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.errors import ConnectionLost, ProtocolViolation
from kobune.virt.launcherproto.fake import FakeLauncher
from kobune.virt.launcherproto.framing import MAX_LINE_BYTES, encode_line
from kobune.virt.launcherproto.messages import GetState, Request, SyncVirtualMachine
from support.vmis import UID


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Path]:
    fake = FakeLauncher(uid=UID)
    # A pod's volume lies deeper than a socket address can say.
    path = tmp_path / ("d" * 100) / "launcher.sock"
    path.parent.mkdir()
    short = tmp_path / "launcher.sock"
    await fake.start(short)
    short.rename(path)
    yield path
    await fake.stop()


async def open_raw(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    link = path.parent.parent / "short"
    link.symlink_to(path)
    reader, writer = await asyncio.open_unix_connection(str(link))
    assert b'"message":"hello"' in await reader.readline()
    return reader, writer


def test_a_message_is_one_line_even_when_the_vmi_is_pretty() -> None:
    pretty = msgspec.Raw(json.dumps({"a": "x\ny"}, indent=2).encode())
    line = encode_line(Request(id=1, command=SyncVirtualMachine(vmi=pretty)))
    assert line.count(b"\n") == 1
    command = msgspec.json.decode(line, type=Request).command
    assert isinstance(command, SyncVirtualMachine)
    assert msgspec.json.decode(command.vmi) == {"a": "x\ny"}


def test_a_message_over_the_limit_is_not_sent() -> None:
    with pytest.raises(ProtocolViolation, match="over the limit"):
        encode_line(Request(id=1, command=SyncVirtualMachine(vmi=msgspec.Raw(b'"' + b"x" * MAX_LINE_BYTES + b'"'))))


async def test_a_path_longer_than_a_socket_address_can_be_connected_to(socket: Path) -> None:
    assert len(str(socket)) > 108
    client = await LauncherClient.connect(socket)
    assert client.hello.uid == UID
    await client.close()


async def test_a_command_of_a_newer_protocol_is_answered_and_the_connection_lives(socket: Path) -> None:
    reader, writer = await open_raw(socket)
    writer.write(b'{"id":5,"command":{"command":"levitate"}}\n')
    answer = json.loads(await reader.readline())
    assert (answer["id"], answer["result"]["code"]) == (5, "bad-request")
    writer.write(encode_line(Request(id=6, command=GetState())))
    assert json.loads(await reader.readline())["id"] == 6
    writer.close()


async def test_noise_ends_the_connection_but_not_the_server(socket: Path) -> None:
    reader, writer = await open_raw(socket)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    client = await LauncherClient.connect(socket)
    await client.get_state()
    await client.close()


async def test_a_lost_connection_fails_open_requests_and_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "launcher.sock"
    fake = FakeLauncher(uid=UID)
    await fake.start(path)
    closed: list[bool] = []
    client = await LauncherClient.connect(path, on_close=lambda: closed.append(True))
    asked = asyncio.Event()

    async def never(_: object) -> object:
        asked.set()
        return await asyncio.get_running_loop().create_future()

    fake.execute = never  # type: ignore[method-assign,assignment]
    waiting = asyncio.create_task(client.sync_virtual_machine(b"{}", Facts()))
    await asked.wait()
    await fake.stop()
    with pytest.raises(ConnectionLost):
        await waiting
    with pytest.raises(ConnectionLost):
        await client.get_state()
    assert closed == [True]


async def test_a_write_that_fails_with_the_connection_leaves_no_answer_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both directions end at once: the command fails with one of the errors, and the other is nobody's."""
    path = tmp_path / "launcher.sock"
    fake = FakeLauncher(uid=UID)
    await fake.start(path)
    client = await LauncherClient.connect(path)
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))

    async def lost_while_writing() -> None:
        client._finish()
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(client._writer, "drain", lost_while_writing)
    with pytest.raises(ConnectionLost, match="reset by peer"):
        await client.get_state()
    gc.collect()
    await asyncio.sleep(0)
    assert unhandled == []
    await fake.stop()


async def test_nobody_listening_is_a_lost_connection(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLost):
        await LauncherClient.connect(tmp_path / "launcher.sock")


async def test_a_slow_subscriber_gets_the_newest_state_and_not_all(tmp_path: Path) -> None:
    path = tmp_path / "launcher.sock"
    fake = FakeLauncher(uid=UID)
    await fake.start(path)
    reader, writer = await _open(path)
    writer.write(b'{"id":1,"command":{"command":"subscribe"}}\n')
    await reader.readline()
    await reader.readline()
    changes = 5000
    for number in range(changes):
        fake.change(hostname=f"{number:>0200}")
        if number % 100 == 0:
            await asyncio.sleep(0)
    last, received = "", 0
    while last != f"{changes - 1:>0200}":
        last = json.loads(await reader.readline())["state"].get("hostname", "")
        received += 1
    assert received < changes
    writer.close()
    await fake.stop()


async def _open(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    await reader.readline()
    return reader, writer
