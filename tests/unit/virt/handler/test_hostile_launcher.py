"""A launcher that its guest has taken over: it may lie about its own guest, and hurts nobody else.

Whatever it writes on its socket, virt-handler goes on, is not kept busy, and what it tells the API is small, readable,
and of the types that the API takes.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import convert

from kobune.api.kubevirt import VirtualMachineInstance, VirtualMachineInstanceStatus
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.resource import Key
from kobune.kube.testing import eventually
from kobune.virt.handler.bounds import MAX_ADDRESSES, bounded
from kobune.virt.handler.instance.observed import LauncherPod, Observed
from kobune.virt.handler.instance.status import ended_status, running_status
from kobune.virt.handler.launchers import Launchers, NoLauncher, pod_volume
from kobune.virt.launcherproto.client import BURST, LauncherClient
from kobune.virt.launcherproto.errors import ConnectionLost, ProtocolViolation
from kobune.virt.launcherproto.fake import FakeLauncher
from kobune.virt.launcherproto.framing import MAX_LINE_BYTES
from kobune.virt.launcherproto.messages import DomainState, DomainStatus, InterfaceState

UID = "uid-1"
POD = "pod-1"
KEY = Key("default", "vm")
HELLO = b'{"message":"hello","protocol":1,"uid":"uid-1","namespace":"default","name":"vm"}\n'
SUBSCRIBED = b'{"message":"reply","id":1,"result":{"result":"done"}}\n'
STATUS_LIMIT_BYTES = 512 * 1024

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(path: Path, talk: Talk) -> AsyncIterator[list[float]]:
    """Somebody at the launcher's socket who says what `talk` says; yields the moments of its connections."""
    connected: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(time.monotonic())
        with contextlib.suppress(OSError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield connected
    finally:
        server.close()


def state_line(sequence: int, **fields: object) -> bytes:
    state = {"result": "state", "sequence": sequence, "status": "Running", **fields}
    return json.dumps({"message": "state", "state": state}).encode() + b"\n"


class Node:
    """virt-handler's lines to two launchers: the hostile one's and another one's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changes = 0
        self.launchers = Launchers(root, SystemClock(), self._changed)

    def _changed(self, key: Key) -> None:
        self.changes += key == KEY

    def socket(self, pod_uid: str) -> Path:
        folder = pod_volume(self.root, pod_uid, "sockets")
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "launcher.sock"


def name_of(node: Node, key: Key) -> str:
    state = node.launchers.link(key).state
    return state.hostname if state is not None else ""


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    with TemporaryDirectory(prefix="kobune-") as folder:
        made = Node(Path(folder))
        yield made
        made.launchers.close()


# --- noise on the line ---

messages = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.text(max_size=30),
        st.sampled_from(["hello", "reply", "state", "done", "Running", "Ended", UID]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["message", "id", "result", "state", "status", "sequence", "uid", "protocol", "exit", "x"]),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=20,
)
noise = st.one_of(
    st.binary(max_size=200),
    messages.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([HELLO, SUBSCRIBED, state_line(1), b"[" * 100_000, b'"\xff"', b'{"message":"reply"}']),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(noise, max_size=6))
@example([HELLO, b'{"message":"reply","id":1,"result":{"result":"done"},"x":"\xff"}\n'])
@example([HELLO, b"[" * 1_000_000 + b"\n"])
def test_noise_is_a_lost_connection_or_a_violation_and_nothing_else(lines: list[bytes]) -> None:
    async def connect() -> None:
        loose: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: loose.append(context))

        async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for line in lines:
                writer.write(line.rstrip(b"\n") + b"\n")
            await writer.drain()

        with TemporaryDirectory(prefix="kobune-") as folder:
            path = Path(folder) / "launcher.sock"
            closed = asyncio.Event()
            async with talking(path, talk):
                try:
                    client = await LauncherClient.connect(path, on_close=closed.set)
                    await client.subscribe()
                    await asyncio.wait_for(closed.wait(), 5)
                except (ConnectionLost, ProtocolViolation):
                    pass
                else:
                    assert client.closed
        await asyncio.sleep(0)
        assert loose == []

    asyncio.run(connect())


@pytest.mark.parametrize(
    "line",
    [b"x" * (MAX_LINE_BYTES + 10), b"[" * 1_000_000 + b"\n", b'{"message":"hello","uid":"\xff"}\n', b""],
    ids=["endless", "nested", "no text", "nothing"],
)
async def test_another_launcher_is_followed_whatever_this_one_says(node: Node, line: bytes) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)
        await writer.drain()

    other = FakeLauncher(uid="uid-2")
    await other.start(node.socket("pod-2"))
    async with talking(node.socket(POD), talk):
        node.launchers.follow(KEY, POD, UID)
        node.launchers.follow(Key("default", "other"), "pod-2", "uid-2")
        await eventually(
            lambda: node.launchers.link(Key("default", "other")).state is not None, "the other one is followed"
        )
        assert node.launchers.link(KEY).state is None
        with pytest.raises(NoLauncher):
            _ = node.launchers.link(KEY).client
    await other.stop()


async def test_a_launcher_that_hangs_up_again_and_again_does_not_keep_us_busy(node: Node) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        await reader.readline()
        writer.write(SUBSCRIBED + state_line(1))
        await writer.drain()

    async with talking(node.socket(POD), talk) as connected:
        node.launchers.follow(KEY, POD, UID)
        await asyncio.sleep(2)
        assert 2 <= len(connected) < 20


async def test_a_launcher_that_says_more_than_it_may_waits_and_the_others_do_not(node: Node) -> None:
    said = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal said
        writer.write(HELLO)
        await reader.readline()
        writer.write(SUBSCRIBED)
        while True:
            said += 1
            writer.write(state_line(said, hostname="x" * 1000))
            await writer.drain()

    other = FakeLauncher(uid="uid-2")
    await other.start(node.socket("pod-2"))
    key = Key("default", "other")
    async with talking(node.socket(POD), talk):
        node.launchers.follow(KEY, POD, UID)
        node.launchers.follow(key, "pod-2", "uid-2")
        await eventually(lambda: node.changes > BURST / 2, "it is heard")
        await eventually(lambda: node.launchers.link(key).state is not None, "the other one is followed")
        for number in range(20):
            other.change(hostname=f"name-{number}")
            began_s = time.monotonic()
            await eventually(lambda wanted=f"name-{number}": name_of(node, key) == wanted, "it is heard")  # type: ignore[misc]
            assert time.monotonic() - began_s < 2
        assert node.changes < said
        assert node.changes < BURST + 50 * 30
    await other.stop()


async def test_a_link_in_place_of_the_socket_leads_nowhere(node: Node, tmp_path: Path) -> None:
    """A launcher owns its folder: a link there must not lead root to a socket of the machine."""
    reached = []

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(True)

    elsewhere = tmp_path / "containerd.sock"
    async with talking(elsewhere, talk):
        node.socket(POD).symlink_to(elsewhere)
        with pytest.raises(ConnectionLost):
            await LauncherClient.connect(node.socket(POD))
        node.socket(POD).unlink()
        node.socket(POD).write_text("a file")
        with pytest.raises(ConnectionLost):
            await LauncherClient.connect(node.socket(POD))
    assert reached == []


async def test_somebody_elses_launcher_is_not_taken_for_this_one(node: Node) -> None:
    other = FakeLauncher(uid="uid-2")
    await other.start(node.socket(POD))
    node.launchers.follow(KEY, POD, UID)
    await asyncio.sleep(0.3)
    assert node.launchers.link(KEY).state is None
    with pytest.raises(NoLauncher):
        _ = node.launchers.link(KEY).client
    await other.stop()


# --- what reaches the API ---

UGLY = "\x1b[2J\0\n" + "\U0001f41b" * 300
texts = st.one_of(
    st.text(max_size=20), st.sampled_from([UGLY, "10.0.0.1", "fe80::1%eth0", "fe80::1%" + "x" * 100, "default"])
)
numbers = st.one_of(st.integers(-2, 8), st.sampled_from([10**40, -(10**40), 2**31, 2**63]))
interfaces = st.builds(
    lambda one, count: [one] * count,
    st.fixed_dictionaries(
        {"name": texts, "mac": texts, "guestName": texts, "queues": numbers},
        optional={
            "ipAddresses": st.builds(lambda address, count: [address] * count, texts, st.sampled_from([0, 1, 20])),
            "linkUp": st.booleans(),
            "fromAgent": st.booleans(),
            "fromDomain": st.booleans(),
        },
    ),
    st.sampled_from([0, 1, 3, 300]),
)
states = st.fixed_dictionaries(
    {
        "sequence": numbers,
        "status": st.sampled_from([status.value for status in DomainStatus]),
        "uuid": texts,
        "startedAt": texts,
        "machine": texts,
        "memoryBytes": numbers,
        "cores": numbers,
        "sockets": numbers,
        "threads": numbers,
        "interfaces": interfaces,
        "agentConnected": st.booleans(),
        "agentVersion": texts,
        "hostname": texts,
        "resets": numbers,
        "lastError": texts,
        "credentialsSynced": st.one_of(st.none(), st.booleans()),
        "credentialsMessage": texts,
    },
    optional={
        "guestOs": st.fixed_dictionaries({"name": texts, "id": texts, "kernelRelease": texts}),
        "exit": st.fixed_dictionaries({"crashed": st.booleans(), "message": texts}),
        "pauseReason": st.sampled_from(["User", "IOError", "Other"]),
    },
)
VMI = convert(
    {
        "metadata": {"name": "vm", "namespace": "default", "uid": UID},
        "spec": {
            "domain": {"devices": {"interfaces": [{"name": "default", "bridge": {}}]}},
            "networks": [{"name": "default", "pod": {}}],
        },
        "status": {"phase": "Scheduled"},
    },
    VirtualMachineInstance,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(states)
def test_whatever_it_says_is_a_small_and_readable_status(told: dict[str, Any]) -> None:
    state = bounded(msgspec.json.decode(json.dumps({"result": "state", **told}), type=DomainState))
    assert state == bounded(state)
    pod = LauncherPod(uid=POD, name="virt-launcher-vm", ips=("10.1.0.2",), finished=False, exit_code=None, message="")
    seen = Observed(now=datetime(2026, 1, 1, tzinfo=UTC), node="n1", vmi=VMI, pod=pod, launcher=None)
    crashed = ended_status(seen, crashed=True, message=(state.exit.message if state.exit else "") or state.last_error)
    for status in (running_status(seen, pod, state), crashed):
        text = msgspec.json.encode(status)
        assert len(text) < STATUS_LIMIT_BYTES
        assert b"\\u00" not in text, "control characters"
        assert b"\\n" not in text
        read = convert(json.loads(text), VirtualMachineInstanceStatus, strict=True)
        topology = read.current_cpu_topology
        assert topology is None or max(topology.cores or 0, topology.sockets or 0, topology.threads or 0) < 2**31


def test_addresses_are_counted_over_all_interfaces() -> None:
    many = InterfaceState(ip_addresses=["10.0.0.1"] * 700)
    state = bounded(DomainState(sequence=1, status=DomainStatus.RUNNING, interfaces=[many] * 3))
    assert [len(one.ip_addresses) for one in state.interfaces] == [700, MAX_ADDRESSES - 700, 0]
