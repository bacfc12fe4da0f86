"""libvirt in memory keeps the contract of the real one (tests/node/launcher runs it against that)."""

import os
from pathlib import Path

import pytest

from kobune.host.libvirt.fake import FakeHypervisor
from support.hypervisor_contract import Daemon, HypervisorContract


class TestContract(HypervisorContract):
    @pytest.fixture
    def daemon(self, tmp_path: Path) -> Daemon:
        fake = FakeHypervisor()
        disk = tmp_path / "disk.img"
        disk.touch()

        async def kill() -> None:
            fake.die()

        async def revive() -> None:
            fake.revive()

        return Daemon(fake.connect, kill, revive, str(disk), lambda size: os.truncate(disk, size))
