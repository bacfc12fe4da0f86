"""Requests for dumps of a guest's memory: their checks, and what they leave in the machine's status. Pure.

virt-controller carries them out.
"""

from typing import Any

from kobune.api.core import PersistentVolumeClaim
from kobune.api.kubevirt import VirtualMachine
from kobune.base.quantity import format_quantity, to_bytes
from kobune.virt.admission.subresources.failure import bad_request, conflict

__all__ = ["check_claim", "check_removal", "claim_of_request", "request_of", "request_of_removal"]

_KIND = "virtualmachine"
_OVER = ("Completed", "Failed")
OVERHEAD_BYTES = 100 * 1024 * 1024
"""What a dump has beside the guest's memory."""


def claim_of_request(vm: VirtualMachine, claim_name: str) -> str:
    """The claim that the dump goes to: the one that is asked for, or the one that was used before. Raises Failure."""
    present = vm.status.memory_dump_request
    if present is None:
        if not claim_name:
            raise bad_request("Memory dump requires claim name to be set")
        return claim_name
    if present.phase not in _OVER:
        message = f"memory dump request for pvc [{present.claim_name}] already in progress"
        raise conflict(_KIND, vm.metadata.name, message)
    if claim_name and claim_name != present.claim_name:
        raise conflict(
            _KIND,
            vm.metadata.name,
            f"can't request memory dump for pvc [{claim_name}] while pvc [{present.claim_name}] is still associated "
            "as the memory dump pvc",
        )
    return present.claim_name


def check_claim(claim: PersistentVolumeClaim, guest_bytes: int) -> None:
    """Whether a dump of that much memory fits. Raises Failure."""
    name = claim.metadata.name
    if claim.spec.volume_mode == "Block":
        raise conflict("persistentvolumeclaim", name, "pvc should be filesystem pvc")
    modes = claim.spec.access_modes
    if modes and all(mode == "ReadOnlyMany" for mode in modes):
        raise conflict("persistentvolumeclaim", name, "pvc access mode can't be read only")
    needed = guest_bytes + OVERHEAD_BYTES
    have = to_bytes(claim.spec.resources.requests.get("storage", 0))
    if have < needed:
        size = format_quantity(have, binary=True)
        least = format_quantity(needed, binary=True)
        raise conflict("persistentvolumeclaim", name, f"pvc size [{size}] should be bigger then [{least}]")


def check_removal(vm: VirtualMachine) -> None:
    """Whether there is a dump whose claim can be let go. Raises Failure."""
    present = vm.status.memory_dump_request
    if present is None:
        message = f"can't remove memory dump association for vm {vm.metadata.name}, no association found"
        raise conflict(_KIND, vm.metadata.name, message)
    if present.remove:
        message = f"memory dump remove request for pvc [{present.claim_name}] already exists"
        raise conflict(_KIND, vm.metadata.name, message)


def request_of(claim_name: str) -> dict[str, Any]:
    """A merge patch of the machine's status: what an earlier dump has left there goes."""
    gone = dict.fromkeys(("endTimestamp", "fileName", "message", "remove", "startTimestamp"))
    return {"memoryDumpRequest": {"claimName": claim_name, "phase": "Associating", **gone}}


def request_of_removal() -> dict[str, Any]:
    """A merge patch of the machine's status."""
    return {"memoryDumpRequest": {"remove": True}}
