"""Lets QEMU lock its guest's memory, which VFIO does: devices write to it past the kernel.

A container can't raise that limit, and libvirt without privileges neither; virt-handler does it from outside, before
the guest starts, for all processes of the container: libvirt hands its limit on to QEMU.
"""

import contextlib
import resource
from typing import Final

from kobune.base.errors import RetryableError
from kobune.host.procroot import HeldProcess
from kobune.host.procroot.siblings import siblings

__all__ = ["MemoryNotLockable", "allow_locked_memory"]

BESIDE_GUEST_BYTES: Final = 2 << 30
"""Registers of devices are mapped and counted as well; libvirt asks for one GiB of them."""


class MemoryNotLockable(RetryableError):
    """The limit could not be raised: virt-handler lacks CAP_SYS_RESOURCE."""


def allow_locked_memory(process: HeldProcess, guest_bytes: int) -> int:
    """Raise the limit of every process in the container of `process`; returns how many there are.

    Raises ProcessGone and MemoryNotLockable.
    """
    wanted = guest_bytes + BESIDE_GUEST_BYTES
    count = 0
    for pid in siblings(process):
        # A process that ends meanwhile is none that starts QEMU.
        with contextlib.suppress(ProcessLookupError):
            _raise(pid, wanted)
            count += 1
    return count


def _raise(pid: int, wanted: int) -> None:
    soft, hard = resource.prlimit(pid, resource.RLIMIT_MEMLOCK)
    if _enough(soft, wanted):
        return
    try:
        resource.prlimit(pid, resource.RLIMIT_MEMLOCK, (wanted, hard if _enough(hard, wanted) else wanted))
    except PermissionError as error:
        message = "the guest's memory can't be locked for its devices: virt-handler needs CAP_SYS_RESOURCE"
        raise MemoryNotLockable(message) from error


def _enough(limit: int, wanted: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= wanted
