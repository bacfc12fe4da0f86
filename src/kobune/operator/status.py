"""The status of the KubeVirt resource: that and what is installed, as KubeVirt's clients read it."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from kobune.base.clock import format_time
from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.protocol import Client
from kobune.kube.client.types import Patch

__all__ = ["deployed_status", "mark_deployed"]

NAME: Final = "kobune"


def deployed_status(now: datetime, release: str) -> dict[str, Any]:
    """The status of a complete installation of that release."""
    moment = format_time(now)

    def condition(kind: str, value: str, reason: str, message: str) -> dict[str, Any]:
        return {
            "type": kind,
            "status": value,
            "reason": reason,
            "message": message,
            "lastProbeTime": moment,
            "lastTransitionTime": moment,
        }

    return {
        "phase": "Deployed",
        "operatorVersion": release,
        "observedKubeVirtVersion": release,
        "targetKubeVirtVersion": release,
        "conditions": [
            condition("Available", "True", "AllComponentsReady", "All components are ready."),
            condition("Progressing", "False", "AllComponentsReady", "All components are ready."),
            condition("Degraded", "False", "AllComponentsReady", "All components are ready."),
            condition("Created", "True", "AllResourcesCreated", "All resources were created."),
        ],
    }


async def mark_deployed(client: Client, namespace: str) -> None:
    """Write the status, unless it says the same release already."""
    release = f"v{version('kobune')}"
    found = await client.get(KUBEVIRTS, NAME, namespace)
    if found.status.phase == "Deployed" and found.status.observed_kube_virt_version == release:
        return
    body = {"status": deployed_status(datetime.now(UTC), release)}
    await client.patch(KUBEVIRTS, NAME, Patch.merge(body), namespace, subresource="status")
