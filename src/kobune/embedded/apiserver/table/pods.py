"""The row of a pod: its condensed status is the intricate part."""

from datetime import datetime
from typing import Any

from kobune.embedded.apiserver.table.cells import NONE, age, short_age

__all__ = ["POD_COLUMNS", "pod_row"]

POD_COLUMNS = ("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates")


def pod_row(pod: dict[str, Any], now: datetime) -> list[Any]:
    """Cells of a pod."""
    spec, status, meta = pod.get("spec") or {}, pod.get("status") or {}, pod["metadata"]
    containers = status.get("containerStatuses") or []
    ready = sum(bool(c.get("ready")) for c in containers)
    addresses = status.get("podIPs") or []
    gates = spec.get("readinessGates") or []
    true = {c["type"] for c in status.get("conditions") or () if c.get("status") == "True"}
    passed = sum(g.get("conditionType") in true for g in gates)
    return [
        meta.get("name", ""),
        f"{ready}/{len(spec.get('containers') or ())}",
        _reason(pod, spec, status, meta),
        _restarts(spec, status, now),
        short_age(pod, now),
        (addresses[0].get("ip") if addresses else status.get("podIP")) or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    ]


def _restarts(spec: dict[str, Any], status: dict[str, Any], now: datetime) -> str:
    entries = list(status.get("containerStatuses") or ())
    restartable = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    entries += [c for c in status.get("initContainerStatuses") or () if c["name"] in restartable]
    total = sum(c.get("restartCount", 0) for c in entries)
    ends = [((c.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for c in entries]
    last = max((e for e in ends if e), default=None)
    return f"{total} ({age(last, now)} ago)" if total and last else str(total)


def _reason(pod: dict[str, Any], spec: dict[str, Any], status: dict[str, Any], meta: dict[str, Any]) -> str:
    reason = status.get("reason") or status.get("phase") or ""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    initializing, from_init = _init_reason(spec, status)
    reason = from_init if initializing else _container_reason(status, reason)
    if meta.get("deletionTimestamp") and status.get("reason") == "NodeLost":
        return "Unknown"
    if meta.get("deletionTimestamp") and status.get("phase") not in ("Succeeded", "Failed"):
        return "Terminating"
    return str(reason)


def _init_reason(spec: dict[str, Any], status: dict[str, Any]) -> tuple[bool, str]:
    specs = {c["name"]: c for c in spec.get("initContainers") or ()}
    for i, container in enumerate(status.get("initContainerStatuses") or ()):
        state = container.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        sidecar = specs.get(container["name"], {}).get("restartPolicy") == "Always"
        if sidecar and container.get("started"):
            continue
        if ended is not None:
            return True, "Init:" + _ended(ended)
        waiting = state.get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return True, f"Init:{waiting['reason']}"
        return True, f"Init:{i}/{len(specs)}"
    return False, ""


def _ended(ended: dict[str, Any]) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _container_reason(status: dict[str, Any], reason: str) -> str:
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended is not None:
            reason = _ended(ended)
        elif container.get("ready") and state.get("running") is not None:
            running = True
    if reason == "Completed" and running:
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
        return "Running" if ready else "NotReady"
    return reason
