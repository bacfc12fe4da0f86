"""Context ids of guests' vsock devices: one per instance, unlike all others of the cluster.

Owns: which id an instance gets. It follows from the uid, so that two decisions for one instance agree, and those made
at the same time for two instances differ even when neither has seen the other yet.
"""

import hashlib
from typing import Final

from kobune.api.kubevirt import VirtualMachineInstanceSpec

__all__ = ["FIRST_CID", "free_cid", "wants_vsock"]

FIRST_CID: Final = 3
"""0 to 2 mean the hypervisor, the own machine and the host; the largest one means any."""
LAST_CID: Final = 2**32 - 2


def wants_vsock(spec: VirtualMachineInstanceSpec) -> bool:
    """Whether the guest has a vsock device."""
    return spec.domain.devices.autoattach_vsock is True


def free_cid(uid: str, taken: frozenset[int]) -> int:
    """The id for the instance `uid`: none of `taken`."""
    size = LAST_CID - FIRST_CID + 1
    cid = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) % size
    while FIRST_CID + cid in taken:
        cid = (cid + 1) % size
    return FIRST_CID + cid
