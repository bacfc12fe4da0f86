"""The first status of the KubeVirt resource: what is being installed. Whether it works, virt-controller says."""

from importlib.metadata import version
from typing import Final

from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.protocol import Client
from kobune.kube.client.types import Patch

__all__ = ["mark_installed"]

NAME: Final = "kobune"


async def mark_installed(client: Client, namespace: str) -> None:
    """Name the release that the objects belong to, unless it is named already."""
    release = f"v{version('kobune')}"
    found = await client.get(KUBEVIRTS, NAME, namespace)
    if found.status.target_kube_virt_version == release:
        return
    body = {
        "status": {
            "phase": found.status.phase or "Deploying",
            "operatorVersion": release,
            "targetKubeVirtVersion": release,
        }
    }
    await client.patch(KUBEVIRTS, NAME, Patch.merge(body), namespace, subresource="status")
