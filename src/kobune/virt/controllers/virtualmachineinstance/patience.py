"""Which news of an instance may wait for more to come, so that several changes are one write. Pure.

While a pod is made, placed and started, within half a second, its instance learns its size, its node and its first
conditions: people look for the end of it. A change for the worse, a final phase and Ready are written at once.
"""

from typing import Any, Final

__all__ = ["may_wait_s"]

Status = dict[str, Any]

SCHEDULING_S: Final = 1.0
"""Most launchers run half a second after their pod was created, on a busy machine too within this."""
_TROUBLE: Final = ("PodScheduled", "Synchronized", "Ready")
"""Conditions that say why an instance does not get on."""


def may_wait_s(before: Status, after: Status) -> float:
    """How long the difference between two statuses may wait, in seconds; 0 when it is to be written now."""
    phase = after.get("phase")
    if phase != before.get("phase") and phase != "Scheduling":
        return 0.0
    then, now = _values(before), _values(after)
    if any(then.get(kind, "") != value for kind, value in now.items() if (kind, value) != ("Ready", "False")):
        return 0.0
    if then.get("Ready") == "True" and now.get("Ready") != "True":
        return 0.0
    return SCHEDULING_S


def _values(status: Status) -> dict[str, str]:
    return {item["type"]: item["status"] for item in status.get("conditions", ()) if item["type"] in _TROUBLE}
