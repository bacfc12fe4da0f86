"""apps/v1 ReplicaSet as far as its controllers read it; the pod template stays as it was written."""

from typing import Any, Final

from kobune.api.meta import LabelSelector, Object, ObjectMeta
from kobune.kube.client.resource import Resource

__all__ = ["REPLICA_SETS", "ReplicaSet", "ReplicaSetSpec"]


class ReplicaSetSpec(Object, frozen=True, kw_only=True):
    """`template` is a PodTemplateSpec."""

    replicas: int = 1
    min_ready_seconds: int = 0
    selector: LabelSelector = LabelSelector()
    template: dict[str, Any] = {}


class ReplicaSet(Object, frozen=True, kw_only=True):
    """A ReplicaSet; its status is kept as it is written."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: dict[str, Any] = {}


REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet", True, ReplicaSet)
