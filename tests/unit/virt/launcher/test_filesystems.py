"""QEMU waits for the containers that share volumes."""

import asyncio
import socket
from pathlib import Path

import pytest

from kobune.api.kubevirt.devices import Filesystem, FilesystemVirtiofs
from kobune.virt.launcher.filesystems import FilesystemsUnready, wait_for_filesystems

BOTH = [Filesystem(name=name, virtiofs=FilesystemVirtiofs()) for name in ("one", "two")]


async def test_it_waits_until_every_container_listens(tmp_path: Path) -> None:
    waiting = asyncio.create_task(wait_for_filesystems(BOTH, tmp_path))
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        one.bind(str(tmp_path / "one.sock"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        two.bind(str(tmp_path / "two.sock"))
        await asyncio.wait_for(waiting, 5)


async def test_it_names_who_does_not(tmp_path: Path) -> None:
    (tmp_path / "one.sock").touch()
    with pytest.raises(FilesystemsUnready, match="one, two do not listen after"):
        await wait_for_filesystems(BOTH, tmp_path, limit_s=0.05)


async def test_without_file_systems_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    await wait_for_filesystems([], tmp_path / "none")
