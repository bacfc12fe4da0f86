"""What virt-api knows of the cluster: the KubeVirt resource by a cache, the rest by asking."""

from collections.abc import Sequence

from kobune.api.kubevirt import KubeVirt, VirtualMachineInstance, VirtualMachineInstanceMigration
from kobune.kube.client.errors import NotFound
from kobune.kube.client.kubevirt import KUBEVIRTS, VIRTUAL_MACHINE_INSTANCE_MIGRATIONS, VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.protocol import Client
from kobune.kube.informer import Informer

__all__ = ["ClusterLookups"]


class ClusterLookups:
    """Keeps `webhooks.Lookups` with a client and an informer."""

    def __init__(self, client: Client, installations: Informer[KubeVirt]) -> None:
        self._client = client
        self._installations = installations

    def gates(self) -> frozenset[str]:
        """The feature gates of the installation, none before it is known."""
        for installation in self._installations.list():
            configuration = installation.spec.configuration
            developer = configuration.developer_configuration if configuration is not None else None
            if developer is not None:
                return frozenset(developer.feature_gates)
        return frozenset()

    async def instance(self, namespace: str, name: str) -> VirtualMachineInstance | None:
        """One instance, None when there is none."""
        try:
            return await self._client.get(VIRTUAL_MACHINE_INSTANCES, name, namespace)
        except NotFound:
            return None

    async def is_installed(self) -> bool:
        """Whether there is a KubeVirt resource."""
        return bool((await self._client.list(KUBEVIRTS)).items)

    async def migrations(self, namespace: str, vmi_name: str) -> Sequence[VirtualMachineInstanceMigration]:
        """All migrations of one instance."""
        found = await self._client.list(VIRTUAL_MACHINE_INSTANCE_MIGRATIONS, namespace)
        return [migration for migration in found.items if migration.spec.vmi_name == vmi_name]
