"""libvirt in memory keeps the contract of the real one (tests/node/launcher runs it against that)."""

import pytest

from kobune.host.libvirt.fake import FakeHypervisor
from support.hypervisor_contract import Daemon, HypervisorContract


class TestContract(HypervisorContract):
    @pytest.fixture
    def daemon(self) -> Daemon:
        fake = FakeHypervisor()

        async def kill() -> None:
            fake.die()

        async def revive() -> None:
            fake.revive()

        return Daemon(fake.connect, kill, revive)
