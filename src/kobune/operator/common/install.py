"""Brings the common instancetypes and preferences, and takes them away where they are not wanted.

Owns: which of them exist. Somebody else's object of the same name is left alone, as is one that an administrator
changed, until its manifest changes too.
"""

from typing import Final

from kobune.kube.client.errors import NotFound
from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.protocol import Client
from kobune.operator.apply import Manifest, apply, resource_of, together
from kobune.operator.common.instancetypes import instancetypes
from kobune.operator.common.preferences import preferences
from kobune.operator.names import COMMON
from kobune.operator.status import installation_key

__all__ = ["install_common"]

_OURS: Final = ",".join(f"{label}={value}" for label, value in COMMON.items())


async def install_common(client: Client) -> None:
    """Make them as the KubeVirt resource says (`configuration.commonInstancetypesDeployment`; left out: all).

    virt-api must answer: it checks them. Raises `ApiError` of the first object that is refused.
    """
    wanted = [*instancetypes(), *preferences()] if await _enabled(client) else []
    for kind in ("VirtualMachineClusterInstancetype", "VirtualMachineClusterPreference"):
        await _bring(client, kind, [manifest for manifest in wanted if manifest["kind"] == kind])


async def _enabled(client: Client) -> bool:
    key = await installation_key(client)
    try:
        installation = await client.get(KUBEVIRTS, key.name, key.namespace)
    except NotFound:
        return False
    configuration = installation.spec.configuration
    deployment = configuration.common_instancetypes_deployment if configuration else None
    return deployment is None or deployment.enabled is not False


async def _bring(client: Client, kind: str, wanted: list[Manifest]) -> None:
    resource = resource_of(kind)
    ours = {item["metadata"]["name"] for item in (await client.list(resource, label_selector=_OURS)).items}
    others = {item["metadata"]["name"] for item in (await client.list(resource)).items} - ours
    await apply(client, [manifest for manifest in wanted if manifest["metadata"]["name"] not in others])
    surplus = ours - {manifest["metadata"]["name"] for manifest in wanted}
    await together(client.delete(resource, name) for name in surplus)
