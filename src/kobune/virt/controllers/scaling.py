"""What replica sets and pools say of themselves in the same way. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kobune.api.meta import LabelSelector
from kobune.kube.client.selectors import render_selector
from kobune.virt.controllers.conditions import remove_condition, set_condition

__all__ = ["scaled_status"]


def scaled_status(
    observed: Mapping[str, Any],
    selector: LabelSelector,
    now: datetime,
    *,
    replicas: int,
    ready: int,
    paused: tuple[str, str] | None,
    failure: tuple[str, str] | None,
) -> dict[str, Any]:
    """`observed` brought up to date: the selector as text for the scale subresource, counts (none is 0), conditions.

    `paused` and `failure` are reason and message; None where it is neither.
    """
    status = {**observed, "labelSelector": render_selector(selector)}
    for name, count in (("replicas", replicas), ("readyReplicas", ready)):
        if count:
            status[name] = count
        else:
            status.pop(name, None)
    for kind, told in (("ReplicaPaused", paused), ("ReplicaFailure", failure)):
        if told is not None:
            set_condition(status, kind, "True", now, reason=told[0], message=told[1])
        else:
            remove_condition(status, kind)
    return status
