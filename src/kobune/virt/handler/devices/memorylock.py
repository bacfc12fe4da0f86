"""Lets QEMU lock its guest's memory, which VFIO does: devices write to it past the kernel.

A container can't raise that limit, and libvirt without privileges neither; virt-handler does it from outside, before
the guest starts, for all processes of the container: libvirt hands its limit on to QEMU.
"""

import contextlib
import logging
import os
import resource
from typing import Final

from kobune.base.errors import RetryableError
from kobune.host.procroot import HeldProcess

__all__ = ["MemoryNotLockable", "allow_locked_memory"]

log = logging.getLogger(__name__)

BESIDE_GUEST_BYTES: Final = 2 << 30
"""Registers of devices are mapped and counted as well; libvirt asks for one GiB of them."""


class MemoryNotLockable(RetryableError):
    """The limit could not be raised: virt-handler lacks CAP_SYS_RESOURCE."""


def allow_locked_memory(process: HeldProcess, guest_bytes: int, *, proc: str = "/proc") -> int:
    """Raise the limit of every process in the container of `process`; returns how many there are.

    Raises ProcessGone and MemoryNotLockable.
    """
    wanted = guest_bytes + BESIDE_GUEST_BYTES
    descriptor = process.open("ns/pid", os.O_RDONLY)
    try:
        own = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    count = 0
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        # A process that ends meanwhile is none that starts QEMU.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            other = os.stat(f"{proc}/{name}/ns/pid")
            if (other.st_dev, other.st_ino) == (own.st_dev, own.st_ino):
                _raise(int(name), wanted)
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
