"""The real libvirt, in the launcher's container, keeps the contract of the driver.

The driver runs in this process with Debian's binding taken from the launcher image: same interpreter version, and
libvirt's client library is the machine's own.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kobune.host.libvirt.connection import open_connection
from kobune.host.libvirt.types import ClosedCallback, EventCallback, Hypervisor
from support.hypervisor_contract import Daemon, HypervisorContract
from support.launcher_container import LauncherContainer

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def binding(launcher_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("libvirt-binding")
    for path in (launcher_root / "usr/lib/python3/dist-packages").glob("libvirt*"):
        if path.is_file():
            shutil.copy(path, folder)
    sys.path.append(str(folder))
    yield
    sys.path.remove(str(folder))


def short_link(socket: Path) -> Path:
    """A socket's address has 107 characters at most."""
    link = Path(f"/tmp/kobune-test-{os.getpid()}.sock")
    link.symlink_to(socket)
    return link


class TestContract(HypervisorContract):
    @pytest.fixture
    async def daemon(self, binding: None, launcher_root: Path, tmp_path: Path) -> AsyncIterator[Daemon]:
        container = LauncherContainer(launcher_root, tmp_path)
        container.start()
        link = short_link(tmp_path / "libvirt-runtime/libvirt/libvirt-sock")

        async def connect(on_event: EventCallback, on_closed: ClosedCallback) -> Hypervisor:
            uri = f"qemu+unix:///session?socket={link}"
            return await open_connection(uri, on_event=on_event, on_closed=on_closed)

        async def kill() -> None:
            (pid,) = container.processes()["libvirtd"]
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.05)

        async def revive() -> None:
            """PID 1 does that."""

        disk = tmp_path / "private/disk.img"

        def grow(size: int) -> None:
            disk.touch()
            os.truncate(disk, size)
            os.chown(disk, 107, 107)

        yield Daemon(connect, kill, revive, "/var/run/kubevirt-private/disk.img", grow)
        os.unlink(link)
        container.stop()
