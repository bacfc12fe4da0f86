"""Gathers what the decision about a VirtualMachineInstance needs, from caches but for definitions of networks."""

from collections.abc import Awaitable, Callable

from kobune.api.core import Node, PersistentVolumeClaim, Pod
from kobune.api.kubevirt import KubeVirt, KubeVirtConfiguration, VirtualMachineInstance
from kobune.base.clock import Clock
from kobune.base.quantity import parse_quantity
from kobune.kube.client.companions import NETWORK_ATTACHMENT_DEFINITIONS
from kobune.kube.client.errors import NotFound
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.virt.controllers.owners import BY_OWNER
from kobune.virt.controllers.virtualmachineinstance.decide import Observed
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import PodSettings
from kobune.virt.controllers.virtualmachineinstance.networks import RESOURCE_NAME, definition_of
from kobune.virt.controllers.virtualmachineinstance.podview import claimed_volumes
from kobune.virt.controllers.virtualmachineinstance.vm_state import state_claim_name
from kobune.virt.controllers.virtualmachineinstance.vsock import wants_vsock
from kobune.virt.domain.hotplug import claim_of, held_volumes
from kobune.virt.domain.networks import sriov_pairs

__all__ = ["BY_CLAIM", "by_claim", "claim_names", "network_resources", "observer"]

BY_CLAIM = "claim"


def observer(
    instances: Informer[VirtualMachineInstance],
    pods: Informer[Pod],
    attachments: Informer[Pod],
    nodes: Informer[Node],
    claims: Informer[PersistentVolumeClaim],
    installations: Informer[KubeVirt],
    client: Client,
    clock: Clock,
    launcher_image: str,
    image_pull_policy: str,
) -> Callable[[Key], Awaitable[Observed | None]]:
    """The observe step over these caches; `pods` and `attachments` must be indexed by `BY_OWNER`."""

    async def observe(key: Key) -> Observed | None:
        vmi = instances.get(key)
        if vmi is None:
            return None
        owned = pods.by_index(BY_OWNER, vmi.metadata.uid)
        found = {name: claims.get(Key(key.namespace, name)) for name in claim_names(vmi)}
        networks = await network_resources(client, vmi) if vmi.status.phase in (None, "", "Pending") else {}
        settings = PodSettings(
            launcher_image,
            image_pull_policy,
            kvm=_offers_kvm(nodes),
            state_storage_class=_state_storage_class(installations),
            configuration=_configuration(installations),
            network_resources={name: resource for name, resource in networks.items() if resource is not None},
            block_claims=frozenset(
                name for name, claim in found.items() if claim is not None and claim.spec.volume_mode == "Block"
            ),
        )
        # A volume that is plugged in later holds up nothing.
        later = {claim_of(volume) for volume in held_volumes(vmi.spec).values()}
        missing = tuple(name for name, claim in found.items() if claim is None and name not in later)
        there = {name: claim for name, claim in found.items() if claim is not None}
        # A pod of another namespace is nobody's of here, whatever it says of its owner.
        found_pods = (item for pod in owned for item in attachments.by_index(BY_OWNER, pod.metadata.uid))
        held = tuple(item for item in found_pods if item.metadata.namespace == key.namespace)
        state_claim = claims.get(Key(key.namespace, state_claim_name(key.name)))
        return Observed(
            vmi,
            tuple(owned),
            clock.now(),
            settings,
            missing,
            there,
            held,
            taken_cids=_taken_cids(instances) if wants_vsock(vmi.spec) else frozenset(),
            has_state_claim=state_claim is not None,
            missing_networks=tuple(name for name, resource in networks.items() if resource is None),
        )

    return observe


def claim_names(vmi: VirtualMachineInstance) -> list[str]:
    """The claims that the instance's volumes name; a DataVolume fills the claim of its own name."""
    return [claim for _, claim in claimed_volumes(vmi)]


def by_claim(vmi: VirtualMachineInstance) -> list[str]:
    """Index of instances by `NAMESPACE/CLAIM`."""
    return [f"{vmi.metadata.namespace}/{name}" for name in claim_names(vmi)]


async def network_resources(client: Client, vmi: VirtualMachineInstance) -> dict[str, str | None]:
    """What the definitions of networks for SR-IOV interfaces say, by `NAMESPACE/NAME`; None for one that there is not.

    Asked for, not watched: few clusters have the kind, and few instances need it.
    """
    found: dict[str, str | None] = {}
    for _, network in sriov_pairs(vmi.spec):
        key = definition_of(vmi, network)
        try:
            definition = await client.get(NETWORK_ATTACHMENT_DEFINITIONS, key.name, key.namespace)
            found[str(key)] = definition.metadata.annotations.get(RESOURCE_NAME, "")
        except NotFound:
            found[str(key)] = None
    return found


def _taken_cids(instances: Informer[VirtualMachineInstance]) -> frozenset[int]:
    return frozenset(vmi.status.vsock_cid for vmi in instances.list() if vmi.status.vsock_cid)


def _state_storage_class(installations: Informer[KubeVirt]) -> str:
    """`vmStateStorageClass` of the configuration."""
    found = _configuration(installations)
    return (found.vm_state_storage_class or "") if found is not None else ""


def _configuration(installations: Informer[KubeVirt]) -> KubeVirtConfiguration | None:
    found = (one.spec.configuration for one in installations.list())
    return next((each for each in found if each is not None), None)


def _offers_kvm(nodes: Informer[Node]) -> bool:
    """Whether some node advertises KVM; virt-handler does so only after a guest ran in it there."""
    return any(parse_quantity(node.status.allocatable.get("devices.kubevirt.io/kvm", 0)) > 0 for node in nodes.list())
