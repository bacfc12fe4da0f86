"""Whether a guest counts as ready: it runs, and its launcher's pod is ready. Pure.

One rule for the two who write the Ready condition: virt-handler together with the phase Running, virt-controller
whenever the pod changes.
"""

from dataclasses import dataclass
from typing import Final

from kobune.api.core import Pod

__all__ = ["NOT_KNOWN", "Readiness", "readiness"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """A condition's status, reason and message; reason and message are empty for a guest that is ready."""

    status: str
    reason: str = ""
    message: str = ""


NOT_KNOWN: Final = Readiness("Unknown")


def readiness(phase: str, pod: Pod) -> Readiness:
    """The Ready condition of an instance in that phase. Reasons are KubeVirt's, or the pod's own."""
    if pod.metadata.deletion_timestamp is not None:
        return Readiness("False", "PodTerminating", "virt-launcher pod is terminating")
    if phase != "Running":
        return Readiness("False", "GuestNotRunning", "Guest VM is not reported as running")
    told = next((item for item in pod.status.conditions if item.type == "Ready"), None)
    if told is None:
        return Readiness("False", "PodConditionMissing", "virt-launcher pod is missing the Ready condition")
    if told.status == "True":
        return Readiness("True")
    return Readiness("False", told.reason or "PodNotReady", told.message or "virt-launcher pod is not ready")
