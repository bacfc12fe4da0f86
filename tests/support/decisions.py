"""What the loop around a decision carries out, in its order."""

from typing import Any

from kobune.kube.client.types import Patch
from kobune.kube.runtime import Decision, PatchObject
from kobune.kube.runtime.writer import status_difference

__all__ = ["steps"]


def steps(decision: Decision[Any]) -> tuple[Any, ...]:
    """The actions, then the status as the conditional patch that it becomes when it differs (waits are left out)."""
    status = decision.status
    if status is None or not (difference := status_difference(status)):
        return decision.actions
    body = {"metadata": {"resourceVersion": status.resource_version}, "status": difference}
    return (*decision.actions, PatchObject(status.resource, status.key, Patch.merge(body)))
