"""The first status of the KubeVirt resource: what is being installed. Whether it works, virt-controller says."""

from importlib.metadata import version

from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.operator.names import KUBEVIRT_NAME, KUBEVIRT_NAMESPACE

__all__ = ["installation_key", "mark_installed"]


async def installation_key(client: Client) -> Key:
    """Where the KubeVirt resource is: one that is there already stays where it is, as there can be only one."""
    for installation in (await client.list(KUBEVIRTS)).items:
        return Key(installation.metadata.namespace, installation.metadata.name)
    return Key(KUBEVIRT_NAMESPACE, KUBEVIRT_NAME)


async def mark_installed(client: Client, installation: Key) -> None:
    """Name the release that the objects belong to, unless it is named already."""
    release = f"v{version('kobune')}"
    found = await client.get(KUBEVIRTS, installation.name, installation.namespace)
    if found.status.target_kube_virt_version == release:
        return
    body = {
        "status": {
            "phase": found.status.phase or "Deploying",
            "operatorVersion": release,
            "targetKubeVirtVersion": release,
        }
    }
    patch = Patch.merge(body)
    await client.patch(KUBEVIRTS, installation.name, patch, installation.namespace, subresource="status")
