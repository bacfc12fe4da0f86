"""What virt-api knows of the cluster: the KubeVirt resource and presets by a cache, the rest by asking."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.api.kubevirt import (
    InstancetypeMatcher,
    InstancetypeStatusRef,
    KubeVirt,
    PreferenceMatcher,
    VirtualMachineInstance,
    VirtualMachineInstanceMigration,
    VirtualMachineInstancePreset,
    VirtualMachineSpec,
    VirtualMachineStatus,
)
from kobune.api.snapshot import VirtualMachineRestore
from kobune.kube.client.errors import NotFound
from kobune.kube.client.kubevirt import (
    KUBEVIRTS,
    VIRTUAL_MACHINE_INSTANCE_MIGRATIONS,
    VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS,
    VIRTUAL_MACHINE_INSTANCES,
    VIRTUAL_MACHINES,
)
from kobune.kube.client.kubevirt_groups import VIRTUAL_MACHINE_RESTORES
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from kobune.kube.informer import Informer
from kobune.virt.admission.sizes import Sizes
from kobune.virt.admission.validation.networks import NO_BRIDGE_ON_POD_NETWORK

__all__ = ["ClusterLookups"]

_REVISIONS: Final[Resource[dict[str, Any]]] = Resource(
    "apps", "v1", "controllerrevisions", "ControllerRevision", True, dict
)
_FOUND: Final[dict[str, Resource[dict[str, Any]]]] = {
    "persistentvolumeclaims": Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, dict),
    "pods": Resource("", "v1", "pods", "Pod", True, dict),
    "datavolumes": Resource("cdi.kubevirt.io", "v1beta1", "datavolumes", "DataVolume", True, dict),
    "virtualmachinesnapshots": Resource(
        "snapshot.kubevirt.io", "v1beta1", "virtualmachinesnapshots", "VirtualMachineSnapshot", True, dict
    ),
    "datasources": Resource("cdi.kubevirt.io", "v1beta1", "datasources", "DataSource", True, dict),
}


class ClusterLookups:
    """Keeps `webhooks.Lookups` with a client and informers."""

    def __init__(
        self, client: Client, installations: Informer[KubeVirt], presets: Informer[VirtualMachineInstancePreset]
    ) -> None:
        self._client = client
        self._installations = installations
        self._presets = presets

    def presets(self, namespace: str) -> Sequence[VirtualMachineInstancePreset]:
        """The presets of a namespace."""
        return self._presets.list(namespace)

    def gates(self) -> frozenset[str]:
        """The feature gates of the installation and what it forbids, none before it is known."""
        found: set[str] = set()
        for installation in self._installations.list():
            configuration = installation.spec.configuration
            if configuration is None:
                continue
            if configuration.developer_configuration is not None:
                found |= set(configuration.developer_configuration.feature_gates)
            network = configuration.network
            if network is not None and network.permit_bridge_interface_on_pod_network is False:
                found.add(NO_BRIDGE_ON_POD_NETWORK)
        return frozenset(found)

    def default_binding(self) -> str:
        """The binding of the interface that a guest gets without asking: bridge or masquerade."""
        for installation in self._installations.list():
            configuration = installation.spec.configuration
            network = configuration.network if configuration is not None else None
            if network is not None and network.default_network_interface == "masquerade":
                return "masquerade"
        return "bridge"

    async def instance(self, namespace: str, name: str) -> VirtualMachineInstance | None:
        """One instance, None when there is none."""
        try:
            return await self._client.get(VIRTUAL_MACHINE_INSTANCES, name, namespace)
        except NotFound:
            return None

    async def is_installed(self) -> bool:
        """Whether there is a KubeVirt resource."""
        return bool((await self._client.list(KUBEVIRTS)).items)

    async def sizes(
        self, namespace: str, spec: VirtualMachineSpec, status: VirtualMachineStatus | None = None
    ) -> Sizes:
        """What a machine's matchers mean; with a `status`, what the machine has recorded goes first."""
        found: list[Any] = [None, None]
        pairs = (
            (
                spec.instancetype,
                status.instancetype_ref if status is not None else None,
                VirtualMachineInstancetypeSpec,
            ),
            (spec.preference, status.preference_ref if status is not None else None, VirtualMachinePreferenceSpec),
        )
        for index, (matcher, reference, kind) in enumerate(pairs):
            if matcher is None or not matcher.name:
                continue
            try:
                raw = await self._recorded(namespace, reference) or await self._live(namespace, matcher)
            except NotFound as error:
                return Sizes(missing=str(error))
            found[index] = msgspec.convert(raw.get("spec") or {}, kind)
        return Sizes(*found)

    async def _recorded(self, namespace: str, reference: InstancetypeStatusRef | None) -> dict[str, Any] | None:
        revision = reference.controller_revision_ref if reference is not None else None
        if revision is None or not revision.name:
            return None
        try:
            data: dict[str, Any] = (await self._client.get(_REVISIONS, revision.name, namespace)).get("data") or {}
        except NotFound:
            return None
        return data

    async def _live(self, namespace: str, matcher: InstancetypeMatcher | PreferenceMatcher) -> dict[str, Any]:
        default = "Instancetype" if isinstance(matcher, InstancetypeMatcher) else "Preference"
        plural = (matcher.kind or f"VirtualMachineCluster{default}").lower().removesuffix("s") + "s"
        clustered = "cluster" in plural
        resource: Resource[dict[str, Any]] = Resource(
            "instancetype.kubevirt.io", "v1beta1", plural, matcher.kind or "", not clustered, dict
        )
        return await self._client.get(resource, matcher.name or "", "" if clustered else namespace)

    async def find(self, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        """See webhooks.Lookups. A kind that the cluster does not have has no objects."""
        try:
            return await self._client.get(_FOUND[plural], name, namespace)
        except NotFound:
            return None

    async def workloads(self) -> str:
        """See webhooks.Lookups."""
        kinds: tuple[tuple[Resource[Any], str], ...] = (
            (VIRTUAL_MACHINE_INSTANCES, "Virtual Machine Instances"),
            (VIRTUAL_MACHINES, "Virtual Machines"),
            (VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS, "Virtual Machine Instance Replica Sets"),
        )
        for resource, words in kinds:
            if (await self._client.list(resource, limit=1)).items:
                return words
        return ""

    async def mark_for_evacuation(self, vmi: VirtualMachineInstance) -> None:
        """See webhooks.Lookups."""
        mark = {"op": "add", "path": "/status/evacuationNodeName", "value": vmi.status.node_name}
        name, namespace = vmi.metadata.name, vmi.metadata.namespace
        await self._client.patch(VIRTUAL_MACHINE_INSTANCES, name, Patch.json(mark), namespace)

    async def migrations(self, namespace: str, vmi_name: str) -> Sequence[VirtualMachineInstanceMigration]:
        """All migrations of one instance."""
        found = await self._client.list(VIRTUAL_MACHINE_INSTANCE_MIGRATIONS, namespace)
        return [migration for migration in found.items if migration.spec.vmi_name == vmi_name]

    async def restores(self, namespace: str) -> Sequence[VirtualMachineRestore]:
        """All restores of a namespace."""
        return (await self._client.list(VIRTUAL_MACHINE_RESTORES, namespace)).items
