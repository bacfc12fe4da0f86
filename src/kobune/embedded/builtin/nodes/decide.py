"""What a node's heartbeat means for its conditions and taints. Pure.

Source: the Kubernetes documentation of nodes (heartbeats, leases) and of taints. Pods are not evicted from a silent
node here: embedded nodes share one machine, where another node would not help.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kobune.api.core import Lease, Node
from kobune.base.clock import format_time, parse_time
from kobune.kube.client.core import NODES
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Decision, Event, EventType, PatchObject, StatusPatch

__all__ = ["GRACE", "Observed", "decide"]

GRACE: Final = timedelta(seconds=40)
"""How long a kubelet may be silent."""

_NOT_READY: Final = "node.kubernetes.io/not-ready"
_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_OURS: Final = frozenset({_NOT_READY, _UNREACHABLE, _UNSCHEDULABLE})
_HEARTBEATS: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class Observed:
    """A node, its lease and when the node was first seen by this process (a new one gets its time to begin)."""

    node: Node
    lease: Lease | None
    seen_since: datetime
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """Mark a silent node, taint by condition, look again when its time is up."""
    node = seen.node
    if node.metadata.deletion_timestamp is not None:
        return Decision()
    last = seen.seen_since
    if seen.lease is not None and seen.lease.spec.renew_time:
        last = max(last, parse_time(seen.lease.spec.renew_time))
    silent = seen.now - last >= GRACE
    ready = next((condition.status for condition in node.status.conditions if condition.type == "Ready"), None)
    status: StatusPatch | None = None
    events: tuple[Event, ...] = ()
    # A node without any Ready condition has just been registered: its kubelet speaks first.
    if silent and ready not in ("Unknown", None):
        ready = "Unknown"
        status = _unknown(seen)
        events = (Event(EventType.NORMAL, "NodeNotReady", f"Node {node.metadata.name} status is now: NodeNotReady"),)
    return Decision(_taint(seen, ready), status, events, None if silent else last + GRACE - seen.now)


def _unknown(seen: Observed) -> StatusPatch:
    observed = to_builtins(seen.node.status)
    conditions: list[dict[str, Any]] = []
    for condition in observed.get("conditions") or []:
        changed = dict(condition)
        if condition["type"] in _HEARTBEATS and condition["status"] != "Unknown":
            changed |= {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": format_time(seen.now),
            }
        conditions.append(changed)
    metadata = seen.node.metadata
    wanted = {**observed, "conditions": conditions}
    return StatusPatch(NODES, Key("", metadata.name), wanted, observed, metadata.resource_version)


def _taint(seen: Observed, ready: str | None) -> tuple[Action, ...]:
    key = {"False": _NOT_READY, "Unknown": _UNREACHABLE}.get(ready or "")
    wanted = [(key, "NoSchedule"), (key, "NoExecute")] if key is not None else []
    if seen.node.spec.unschedulable:
        wanted.append((_UNSCHEDULABLE, "NoSchedule"))
    before = [to_builtins(taint) for taint in seen.node.spec.taints]
    known = {(taint["key"], taint["effect"]): taint for taint in before}
    kept = [taint for taint in before if taint["key"] not in _OURS or (taint["key"], taint["effect"]) in wanted]
    new: list[dict[str, Any]] = []
    for name, effect in wanted:
        if (name, effect) not in known:
            # Only what has a time to tolerate carries its beginning.
            since = {"timeAdded": format_time(seen.now)} if effect == "NoExecute" else {}
            new.append({"key": name, "effect": effect, **since})
    if not new and len(kept) == len(before):
        return ()
    metadata = seen.node.metadata
    body = {"metadata": {"resourceVersion": metadata.resource_version}, "spec": {"taints": kept + new}}
    return (PatchObject(NODES, Key("", metadata.name), Patch.merge(body)),)
