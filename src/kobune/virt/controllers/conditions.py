"""Conditions and phase times in a status that is being built (as decoded JSON).

Source: KubeVirt's conditions: `lastTransitionTime` moves only when `status` changes.
"""

from datetime import datetime
from typing import Any

from kobune.base.clock import format_time

__all__ = ["condition", "enter_phase", "remove_condition", "set_condition"]

Status = dict[str, Any]


def condition(status: Status, kind: str) -> Status | None:
    """The condition of that type, if there is one."""
    return next((item for item in status.get("conditions", ()) if item["type"] == kind), None)


def set_condition(status: Status, kind: str, value: str, now: datetime, *, reason: str = "", message: str = "") -> None:
    """Set or add a condition; `value` is True, False or Unknown."""
    old = condition(status, kind)
    moved = old is None or old.get("status") != value
    new: Status = {
        "type": kind,
        "status": value,
        "lastTransitionTime": format_time(now) if moved or old is None else old.get("lastTransitionTime"),
    }
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    if new["lastTransitionTime"] is None:
        del new["lastTransitionTime"]
    rest = list(status.get("conditions", ()))
    if old is None:
        rest.append(new)
    else:
        rest[rest.index(old)] = new
    status["conditions"] = rest


def remove_condition(status: Status, kind: str) -> None:
    """Drop a condition; nothing happens when it is not there."""
    if condition(status, kind) is not None:
        status["conditions"] = [item for item in status["conditions"] if item["type"] != kind]


def enter_phase(status: Status, phase: str, now: datetime) -> None:
    """Change the phase and note when."""
    if status.get("phase") == phase:
        return
    status["phase"] = phase
    entry = {"phase": phase, "phaseTransitionTimestamp": format_time(now)}
    status["phaseTransitionTimestamps"] = [*status.get("phaseTransitionTimestamps", ()), entry]
