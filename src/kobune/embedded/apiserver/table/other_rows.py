"""Rows of rbac, networking, storage, scheduling, admission and aggregation kinds."""

from datetime import datetime
from typing import Any

from kobune.embedded.apiserver.table.cells import (
    NONE,
    Obj,
    duration,
    name_of,
    selector_text,
    short_age,
)

__all__ = [
    "api_service_row",
    "attachment_row",
    "binding_row",
    "capacity_row",
    "csi_driver_row",
    "csi_node_row",
    "csr_row",
    "ingress_class_row",
    "ingress_row",
    "lease_row",
    "network_policy_row",
    "policy_binding_row",
    "policy_row",
    "priority_class_row",
    "runtime_class_row",
    "storage_class_row",
    "webhooks_row",
]


def binding_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    role = obj.get("roleRef") or {}
    subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            name = f"{subject.get('namespace', '')}/{name}"
        subjects.setdefault(subject.get("kind", ""), []).append(name)
    shown = [", ".join(subjects[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [name_of(obj), f"{role.get('kind')}/{role.get('name')}", short_age(obj, now), *shown]


def lease_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), (obj.get("spec") or {}).get("holderIdentity") or "", short_age(obj, now)]


def network_policy_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), selector_text((obj.get("spec") or {}).get("podSelector")), short_age(obj, now)]


def ingress_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    hosts = [r["host"] for r in spec.get("rules") or () if r.get("host")]
    more = f" + {len(hosts) - 3} more..." if len(hosts) > 3 else ""
    entries = (status.get("loadBalancer") or {}).get("ingress") or []
    addresses = ",".join(filter(None, (e.get("ip") or e.get("hostname") for e in entries)))
    return [
        name_of(obj),
        spec.get("ingressClassName") or NONE,
        (",".join(hosts[:3]) + more) or "*",
        addresses,
        "80, 443" if spec.get("tls") else "80",
        short_age(obj, now),
    ]


def ingress_class_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec = obj.get("spec") or {}
    parameters = spec.get("parameters")
    shown = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        shown = f"{parameters.get('kind')}{group}/{parameters.get('name')}"
    return [name_of(obj), spec.get("controller", ""), shown, short_age(obj, now)]


def storage_class_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    annotations = obj["metadata"].get("annotations") or {}
    name = name_of(obj)
    if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
        name += " (default)"
    expand = bool(obj.get("allowVolumeExpansion"))
    return [
        name,
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        expand,
        short_age(obj, now),
    ]


def priority_class_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    default = bool(obj.get("globalDefault"))
    policy = obj.get("preemptionPolicy", "PreemptLowerPriority")
    return [name_of(obj), obj.get("value", 0), default, short_age(obj, now), policy]


def webhooks_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), len(obj.get("webhooks") or ()), short_age(obj, now)]


def policy_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else "<unset>"
    return [name_of(obj), len(spec.get("validations") or ()), shown, short_age(obj, now)]


def policy_binding_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec = obj.get("spec") or {}
    reference = spec.get("paramRef") or {}
    shown = "<unset>"
    if reference:
        space = reference.get("namespace")
        shown = f"{space}/{reference.get('name')}" if space else f"*/{reference.get('name')}"
    return [name_of(obj), spec.get("policyName", ""), shown, short_age(obj, now)]


def api_service_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    service = spec.get("service")
    where = f"{service.get('namespace')}/{service.get('name')}" if service else "Local"
    available = next((c for c in status.get("conditions") or () if c.get("type") == "Available"), None)
    shown = "Unknown"
    if available:
        shown = available["status"]
        if shown != "True":
            shown = f"{shown} ({available.get('reason', '')})"
    return [name_of(obj), where, shown, short_age(obj, now)]


def csr_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    states = [c["type"] for c in status.get("conditions") or ()]
    shown = "Denied" if "Denied" in states else "Approved" if "Approved" in states else "Pending"
    if "Failed" in states:
        shown += ",Failed"
    if status.get("certificate"):
        shown += ",Issued"
    seconds = spec.get("expirationSeconds")
    return [
        name_of(obj),
        short_age(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        duration(seconds) if seconds else NONE,
        shown,
    ]


def runtime_class_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), obj.get("handler", ""), short_age(obj, now)]


def csi_node_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), len((obj.get("spec") or {}).get("drivers") or ()), short_age(obj, now)]


def csi_driver_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec = obj.get("spec") or {}
    audiences = ",".join(t.get("audience", "") for t in spec.get("tokenRequests") or ())
    return [
        name_of(obj),
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        audiences or "<unset>",
        spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or ()) or NONE,
        short_age(obj, now),
    ]


def attachment_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    return [
        name_of(obj),
        spec.get("attacher", ""),
        volume,
        spec.get("nodeName", ""),
        bool(status.get("attached")),
        short_age(obj, now),
    ]


def capacity_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    return [name_of(obj), obj.get("storageClassName", ""), obj.get("capacity") or "<unset>"]
