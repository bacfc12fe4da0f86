"""Rows of core/v1, discovery and events kinds but pods."""

from datetime import datetime
from typing import Any

from kobune.embedded.apiserver.table.cells import (
    NONE,
    Obj,
    age,
    labels_text,
    name_of,
    short_age,
)

__all__ = [
    "claim_row",
    "config_map_row",
    "endpoints_row",
    "event_row",
    "namespace_row",
    "node_row",
    "quota_row",
    "secret_row",
    "service_account_row",
    "service_row",
    "slice_row",
    "volume_row",
]


def config_map_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), short_age(obj, now)]


def secret_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), short_age(obj, now)]


def service_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    kind = spec.get("type", "")
    external = list(spec.get("externalIPs") or ())
    if kind == "LoadBalancer":
        ingress = (status.get("loadBalancer") or {}).get("ingress") or []
        external = [i.get("ip") or i.get("hostname") for i in ingress] + external
        shown = ",".join(filter(None, external)) or "<pending>"
    elif kind == "ExternalName":
        shown = spec.get("externalName", "")
    else:
        shown = ",".join(external) or NONE
    ports = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        ports.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    address = (spec.get("clusterIPs") or [spec.get("clusterIP")])[0]
    return [
        name_of(obj),
        kind,
        address or NONE,
        shown,
        ",".join(ports) or NONE,
        short_age(obj, now),
        labels_text(spec.get("selector")),
    ]


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(modes: list[str] | None) -> str:
    order = list(_MODES)
    known = sorted({m for m in modes or () if m in _MODES}, key=order.index)
    return ",".join(_MODES[m] for m in known)


def claim_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = bool(spec.get("volumeName"))
    return [
        name_of(obj),
        phase,
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        short_age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def volume_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        name_of(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        short_age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def node_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    states = ["Ready" if ready.get("status") == "True" else "NotReady"] if ready else ["Unknown"]
    if spec.get("unschedulable"):
        states.append("SchedulingDisabled")
    roles = set()
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if key.startswith("node-role.kubernetes.io/"):
            roles.add(key.split("/", 1)[1])
        elif key == "kubernetes.io/role" and value:
            roles.add(value)
    addresses = {a.get("type"): a.get("address") for a in reversed(status.get("addresses") or [])}
    info = status.get("nodeInfo") or {}
    return [
        name_of(obj),
        ",".join(states),
        ",".join(sorted(filter(None, roles))) or NONE,
        short_age(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP") or NONE,
        addresses.get("ExternalIP") or NONE,
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def namespace_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), (obj.get("status") or {}).get("phase", ""), short_age(obj, now)]


def service_account_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), len(obj.get("secrets") or ()), short_age(obj, now)]


def endpoints_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    shown: list[str] = []
    for subset in obj.get("subsets") or ():
        for address in subset.get("addresses") or ():
            ports = subset.get("ports") or []
            shown += [f"{address.get('ip')}:{p.get('port')}" for p in ports] or [str(address.get("ip"))]
    more = f" + {len(shown) - 3} more..." if len(shown) > 3 else ""
    return [name_of(obj), ",".join(shown[:3]) + more or NONE, short_age(obj, now)]


def slice_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    ports = [str(p["port"]) if p.get("port") is not None else "*" for p in obj.get("ports") or ()]
    addresses = [a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]

    def short(values: list[str]) -> str:
        more = f" + {len(values) - 3} more..." if len(values) > 3 else ""
        return ",".join(values[:3]) + more

    return [
        name_of(obj),
        obj.get("addressType", ""),
        short(ports) or "<unset>",
        short(addresses) or "<unset>",
        short_age(obj, now),
    ]


def event_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    target = obj.get("involvedObject") or obj.get("regarding") or {}
    kind = str(target.get("kind", "")).lower()
    shown = f"{kind}/{target.get('name')}" if target.get("name") else kind
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or last or first
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        shown,
        target.get("fieldPath", ""),
        f"{reporter}, {host}" if host else reporter,
        str(obj.get("message") or obj.get("note") or "").strip(),
        age(first, now),
        count,
        name_of(obj),
    ]


def quota_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        text = f"{name}: {used.get(name, '0')}/{hard[name]}"
        (limits if name.startswith("limits.") else requests).append(text)
    return [name_of(obj), ", ".join(requests), ", ".join(limits), short_age(obj, now)]
