"""libvirt's capability cache goes from the first launcher to the others, and nothing else goes anywhere."""

import asyncio
import os
from pathlib import Path

import pytest

from kobune.virt.handler import capabilities as module
from kobune.virt.handler.capabilities import FOLDERS, CapabilityCache
from kobune.virt.handler.launchers import pod_volume

NAME = "9" * 64 + ".xml"
DATA = b"<qemuCaps>\n</qemuCaps>\n"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Node":
    # Files are given to QEMU's user, which only root can do.
    monkeypatch.setattr(module, "QEMU_ID", os.getuid())
    monkeypatch.setattr(module, "COLLECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(module, "SEED_TIMEOUT_S", 0.1)
    return Node(tmp_path)


class Node:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = self.started("boot-1")

    def started(self, variant: str) -> CapabilityCache:
        return CapabilityCache(self.root, self.root / "state", variant)

    def volume(self, pod: str) -> Path:
        path = pod_volume(self.root, pod, "libvirt-runtime")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def folder(self, pod: str) -> Path:
        return self.volume(pod).joinpath(*FOLDERS)

    def libvirt_writes(self, pod: str, data: bytes = DATA, name: str = NAME) -> Path:
        self.folder(pod).mkdir(parents=True, exist_ok=True)
        (self.folder(pod) / name).write_bytes(data)
        return self.folder(pod) / name


async def test_the_first_launcher_s_cache_is_given_to_the_next(node: Node) -> None:
    node.libvirt_writes("one")
    assert not await node.cache.seed("two", "launcher:1"), "there is none yet"
    await node.cache.collect("one", "launcher:1")
    node.volume("two")
    assert await node.cache.seed("two", "launcher:1")
    given = node.folder("two") / NAME
    assert given.read_bytes() == DATA
    assert given.stat().st_mode & 0o777 == 0o600
    assert os.listdir(node.folder("two")) == [NAME]


async def test_another_image_or_boot_gets_none(node: Node) -> None:
    node.libvirt_writes("one")
    await node.cache.collect("one", "launcher:1")
    node.volume("two")
    assert not await node.cache.seed("two", "launcher:2")
    assert not await node.started("boot-2").seed("two", "launcher:1")
    assert await node.started("boot-1").seed("two", "launcher:1"), "another handler process finds it"


async def test_libvirt_is_waited_for_until_the_cache_is_complete(node: Node) -> None:
    path = node.libvirt_writes("one", b"<qemuCaps>")
    collecting = asyncio.create_task(node.cache.collect("one", "launcher:1"))
    await asyncio.sleep(0.03)
    assert not node.cache.has("launcher:1")
    path.write_bytes(DATA)
    await collecting
    assert node.cache.has("launcher:1")


async def test_a_launcher_that_writes_none_costs_a_bounded_time(node: Node) -> None:
    node.volume("one")
    await node.cache.collect("one", "launcher:1")
    assert not node.cache.has("launcher:1")


async def test_a_launcher_that_was_faster_keeps_its_own(node: Node) -> None:
    node.libvirt_writes("one")
    await node.cache.collect("one", "launcher:1")
    node.libvirt_writes("two", b"<qemuCaps>own</qemuCaps>")
    assert not await node.cache.seed("two", "launcher:1")
    assert (node.folder("two") / NAME).read_bytes() == b"<qemuCaps>own</qemuCaps>"


async def test_a_volume_that_is_not_there_in_time_is_left_alone(node: Node) -> None:
    node.libvirt_writes("one")
    await node.cache.collect("one", "launcher:1")
    assert not await node.cache.seed("two", "launcher:1")


@pytest.mark.parametrize("depth", range(len(FOLDERS)))
async def test_no_link_is_followed_when_writing(node: Node, depth: int) -> None:
    node.libvirt_writes("one")
    await node.cache.collect("one", "launcher:1")
    host = node.root / "host"
    host.mkdir()
    link = node.volume("two").joinpath(*FOLDERS[: depth + 1])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(host)
    assert not await node.cache.seed("two", "launcher:1")
    assert os.listdir(host) == []


async def test_no_link_and_nothing_strange_is_read(node: Node) -> None:
    secret = node.root / "secret"
    secret.write_bytes(DATA)
    node.folder("one").mkdir(parents=True)
    (node.folder("one") / NAME).symlink_to(secret)
    await node.cache.collect("one", "launcher:1")
    os.mkfifo(node.libvirt_writes("two", name="other.xml").parent / NAME)
    await node.cache.collect("two", "launcher:1")
    node.libvirt_writes("three", b"x" * (module.FILE_LIMIT_BYTES + 1))
    await node.cache.collect("three", "launcher:1")
    assert not node.cache.has("launcher:1")
