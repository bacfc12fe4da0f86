"""Which pods have lost everybody who could end them. Pure.

Source: the Kubernetes documentation of pod garbage collection.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kobune.api.core import Pod
from kobune.base.clock import format_time
from kobune.kube.client.core import PODS
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.runtime.decision import Action, Decision, Delete, StatusPatch

__all__ = ["Observed", "decide"]

QUARANTINE: Final = timedelta(seconds=40)
"""How long a node may be missing before its pods count as lost: a node is sometimes deleted and registers again."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A pod, and since when its node is missing (None: it is there, or the pod has none)."""

    pod: Pod
    node_missing_since: datetime | None
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """Delete without grace what no kubelet will end; a lost pod that ran is marked as failed first."""
    metadata = seen.pod.metadata
    key = Key(metadata.namespace, metadata.name)
    gone = Delete(PODS, key, metadata.uid, grace_period_s=0)
    if seen.node_missing_since is None:
        unscheduled = not seen.pod.spec.node_name and metadata.deletion_timestamp is not None
        return Decision((gone,)) if unscheduled else Decision()
    end = seen.node_missing_since + QUARANTINE
    if seen.now < end:
        return Decision(requeue_after=end - seen.now)
    if seen.pod.status.phase in ("Succeeded", "Failed"):
        return Decision((gone,))
    observed = to_builtins(seen.pod.status)
    target = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
        "lastTransitionTime": format_time(seen.now),
    }
    others = [entry for entry in observed.get("conditions") or () if entry["type"] != "DisruptionTarget"]
    status = {**observed, "phase": "Failed", "conditions": [*others, target]}
    # The status is written after the actions: the deletion is the next pass's, once the pod shows as failed.
    return Decision((), StatusPatch(PODS, key, status, observed, metadata.resource_version))
