"""The guest of the KVM proof really runs and ends QEMU with its own status: shown without KVM."""

from pathlib import Path

import pytest

from kobune.host.run import HostRunner
from kobune.virt.handler.devices.kvm import BOOT_SECTOR, GUEST_STATUS, KvmProof, guest_command

pytestmark = pytest.mark.node


async def test_the_tiny_guest_ends_qemu_with_its_status(tmp_path: Path) -> None:
    disk = tmp_path / "guest.img"
    disk.write_bytes(BOOT_SECTOR)
    done = await HostRunner().run(guest_command(disk, "tcg"), timeout_s=30, check=False)
    assert done.returncode == GUEST_STATUS


async def test_an_empty_disk_does_not(tmp_path: Path) -> None:
    disk = tmp_path / "guest.img"
    disk.write_bytes(b"\xf4".ljust(510, b"\0") + b"\x55\xaa")
    with pytest.raises(Exception, match="did not end"):
        await HostRunner().run(guest_command(disk, "tcg"), timeout_s=2, check=False)


async def test_this_machine_gets_a_verdict_within_its_limit(tmp_path: Path) -> None:
    verdict = await KvmProof(HostRunner(), tmp_path).prove()
    assert verdict.reason
