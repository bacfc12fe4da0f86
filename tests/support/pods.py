"""Short builders for pods, nodes and what a runtime tells about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kobune.api.core import Node, Pod
from kobune.host.cri.types import ContainerInfo, ContainerState, SandboxInfo

__all__ = ["NOW", "container", "node", "ns", "pod", "sandbox"]

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"


def ns(seconds_ago: float) -> int:
    """Nanoseconds since 1970 of a moment before NOW."""
    return int((NOW - timedelta(seconds=seconds_ago)).timestamp() * 1e9)


def pod(*containers: str | dict[str, Any], status: dict[str, Any] | None = None, **spec: Any) -> Pod:
    """A pod with these containers, by name or as objects; `metadata` goes into the metadata."""
    metadata = {"name": "web", "namespace": "default", "uid": UID} | spec.pop("metadata", {})
    named = [
        {"name": own, "image": "img:1"} if isinstance(own, str) else {"image": "img:1"} | own for own in containers
    ]
    spec = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30} | spec
    document = {"metadata": metadata, "spec": {"containers": named} | spec, "status": status or {}}
    return msgspec.convert(document, Pod)


def sandbox(attempt: int = 0, *, ready: bool = True, ips: tuple[str, ...] = ("10.42.0.5",)) -> SandboxInfo:
    """The pod's sandbox `sb<attempt>`."""
    return SandboxInfo(f"sb{attempt}", "web", "default", UID, attempt, ready, ns(100 - attempt), ips if ready else ())


def container(
    name: str,
    state: ContainerState = ContainerState.RUNNING,
    *,
    attempt: int = 0,
    exit_code: int = 0,
    sandbox_id: str = "sb0",
    started_s: float = 60,
    finished_s: float = 30,
    backoff_s: int = 0,
    reason: str = "",
) -> ContainerInfo:
    """A container `name-attempt`; times are seconds before NOW."""
    ended = state is ContainerState.EXITED
    return ContainerInfo(
        id=f"{name}-{attempt}",
        sandbox_id=sandbox_id,
        name=name,
        attempt=attempt,
        state=state,
        created_at_ns=ns(started_s + 1),
        started_at_ns=0 if state is ContainerState.CREATED else ns(started_s),
        finished_at_ns=ns(finished_s) if ended else 0,
        exit_code=exit_code,
        reason=reason or (("Completed" if exit_code == 0 else "Error") if ended else ""),
        image="img:1",
        image_ref="sha256:abc",
        annotations={"kobune.io/restart-backoff-seconds": str(backoff_s)},
    )


def node(name: str = "node1", *, taints: list[dict[str, Any]] | None = None, **allocatable: Any) -> Node:
    """A node with 4 processors, 8 GiB and 110 pods unless told otherwise; `labels` are added to its host name."""
    labels = {"kubernetes.io/hostname": name} | allocatable.pop("labels", {})
    unschedulable = allocatable.pop("unschedulable", False)
    resources = {"cpu": "4", "memory": "8Gi", "pods": "110"} | allocatable.pop("resources", {}) | allocatable
    document = {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints or [], "unschedulable": unschedulable},
        "status": {"allocatable": resources},
    }
    return msgspec.convert(document, Node)
