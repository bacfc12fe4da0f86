"""Which news of a machine may wait for more to come, so that several changes are one write. Pure.

Most changes of a machine's status mirror its instance, and come in groups: it is made and scheduled, its guest runs and
is ready, it has ended and is gone. What people and tools wait for (Running, Ready, anything that went wrong) is written
at once, and takes along what waited.
"""

from typing import Any, Final

__all__ = ["may_wait_s"]

Status = dict[str, Any]

AT_FIRST_S: Final = 0.1
"""A new machine: whoever made it often starts it at once."""
WITH_INSTANCE_S: Final = 0.2
"""Starting, and what is mirrored of the instance: the instance itself is there to be seen."""
AT_END_S: Final = 1.0
"""Stopped: true as soon as the guest is off; the instance and its pod go within a second."""


def may_wait_s(before: Status, after: Status) -> float:
    """How long the difference between two statuses may wait, in seconds; 0 when it is to be written now."""
    if not before.get("conditions"):
        return AT_FIRST_S if after.get("printableStatus") == "Stopped" else 0.0
    if _ready(before) != _ready(after) or before.get("startFailure") != after.get("startFailure"):
        return 0.0
    if before.get("created") and not after.get("created"):
        return 0.0
    if _printable(before) == _printable(after):
        return WITH_INSTANCE_S
    if _printable(after) == "Starting":
        return WITH_INSTANCE_S
    if (_printable(before), _printable(after)) == ("Stopping", "Stopped"):
        return AT_END_S
    return 0.0


def _printable(status: Status) -> str:
    return str(status.get("printableStatus") or "Stopped")


def _ready(status: Status) -> str:
    """The Ready condition's status; a machine that does not say is not ready."""
    found = (item["status"] for item in status.get("conditions", ()) if item["type"] == "Ready")
    return next(found, "False")
