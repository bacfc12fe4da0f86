"""Rows of apps, batch, autoscaling and policy kinds."""

from datetime import datetime
from typing import Any

from kobune.embedded.apiserver.table.cells import (
    NONE,
    Obj,
    age,
    duration,
    labels_text,
    name_of,
    selector_text,
    short_age,
)

__all__ = [
    "autoscaler_row",
    "budget_row",
    "cron_job_row",
    "daemon_set_row",
    "deployment_row",
    "job_row",
    "pod_template_row",
    "replica_set_row",
    "revision_row",
    "stateful_set_row",
]


def _images(spec: Obj) -> list[str]:
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    return [",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)]


def deployment_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name_of(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        short_age(obj, now),
        *_images(spec),
        selector_text(spec.get("selector")),
    ]


def replica_set_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector") or {}
    if obj.get("kind") == "ReplicationController" or (
        "matchLabels" not in selector and "matchExpressions" not in selector
    ):
        shown = labels_text(selector)
    else:
        shown = selector_text(selector)
    return [
        name_of(obj),
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        short_age(obj, now),
        *_images(spec),
        shown,
    ]


def stateful_set_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    return [name_of(obj), ready, short_age(obj, now), *_images(spec)]


def daemon_set_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    nodes = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector")
    return [
        name_of(obj),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        labels_text(nodes),
        short_age(obj, now),
        *_images(spec),
        selector_text(spec.get("selector")),
    ]


def job_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    completions = spec.get("completions")
    done = status.get("succeeded", 0)
    shown = f"{done}/{completions}" if completions is not None else f"{done}/1"
    states = {c["type"] for c in status.get("conditions") or () if c.get("status") == "True"}
    state = next((s for s in ("Complete", "Failed", "Suspended") if s in states), "Running")
    if obj["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    start, end = status.get("startTime"), status.get("completionTime")
    took = ""
    if start:
        from kobune.base.clock import parse_time

        took = duration(((parse_time(end) if end else now) - parse_time(start)).total_seconds())
    return [name_of(obj), state, shown, took, short_age(obj, now), *_images(spec), selector_text(spec.get("selector"))]


def cron_job_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    last = status.get("lastScheduleTime")
    return [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        short_age(obj, now),
        *_images((spec.get("jobTemplate") or {}).get("spec") or {}),
        NONE,
    ]


def budget_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    low, high = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        name_of(obj),
        "N/A" if low is None else str(low),
        "N/A" if high is None else str(high),
        status.get("disruptionsAllowed", 0),
        short_age(obj, now),
    ]


def revision_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    owner = next((o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    shown = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return [name_of(obj), shown, obj.get("revision", 0), short_age(obj, now)]


def pod_template_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    template = obj.get("template") or {}
    return [name_of(obj), *_images(obj), labels_text((template.get("metadata") or {}).get("labels"))]


def autoscaler_row(obj: Obj, now: datetime) -> list[Any]:
    """Cells of one object."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    low = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(spec.get("metrics") or [], status.get("currentMetrics") or []),
        "<unset>" if low is None else str(low),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        short_age(obj, now),
    ]


def _targets(wanted: list[Obj], current: list[Obj]) -> str:
    """What is measured against what is wanted, for resources; other metrics by their kind."""
    shown = []
    for i, metric in enumerate(wanted):
        resource = metric.get("resource") or {}
        goal = (resource.get("target") or {}).get("averageUtilization")
        if metric.get("type") != "Resource" or goal is None:
            shown.append(f"<unknown>/{metric.get('type', '')}")
            continue
        now = (
            ((current[i].get("resource") or {}).get("current") or {}).get("averageUtilization")
            if i < len(current)
            else None
        )
        shown.append(f"{resource.get('name')}: {'<unknown>' if now is None else f'{now}%'}/{goal}%")
    return ", ".join(shown) or "<none>"
