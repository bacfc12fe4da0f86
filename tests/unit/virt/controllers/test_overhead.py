"""What a launcher needs beside its guest's memory: each part adds what it costs, and nothing is forgotten."""

from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachineInstanceSpec
from kobune.virt.controllers.virtualmachineinstance.overhead import MIB, memory_overhead_bytes

PLAIN: dict[str, Any] = {"memory": {"guest": "256Mi"}, "devices": {"autoattachGraphicsDevice": False}}


def overhead_mib(*, kvm: bool = True, volumes: int = 0, **changes: Any) -> int:
    domain = {**PLAIN, **changes}
    disks = [{"name": f"v{number}", "containerDisk": {"image": "i"}} for number in range(volumes)]
    wanted = msgspec.convert({"domain": domain, "volumes": disks}, VirtualMachineInstanceSpec)
    size = memory_overhead_bytes(wanted, kvm=kvm)
    assert size % MIB == 0
    return size // MIB


def test_a_plain_guest_on_kvm_needs_its_processes_and_a_margin() -> None:
    assert overhead_mib() == 111


@pytest.mark.parametrize(
    ("changes", "more_mib"),
    [
        ({"kvm": False}, 44),
        ({"kvm": False, "memory": {"guest": "128Mi"}}, 34),
        ({"kvm": False, "memory": {"guest": "1Gi"}}, 82),
        ({"cpu": {"cores": 4}}, 28),
        ({"kvm": False, "cpu": {"cores": 4}}, 92),
        ({"devices": {}}, 36),
        ({"volumes": 4}, 18),
        ({"devices": {"autoattachGraphicsDevice": False, "tpm": {}}}, 23),
        ({"devices": {"autoattachGraphicsDevice": False, "tpm": {"enabled": False}}}, 0),
        ({"firmware": {"bootloader": {"efi": {}}}}, 14),
        ({"resources": {"limits": {"memory": "256Mi"}}}, 55),
        ({"memory": {"guest": "4Gi"}}, 7),
    ],
)
def test_every_part_is_counted(changes: dict[str, Any], more_mib: int) -> None:
    assert abs(overhead_mib(**changes) - overhead_mib() - more_mib) <= 1
