"""What a claim or a volume of the class `local` needs now. Pure.

A claim is served by the node that was selected for it: the volume's data is made, then the PersistentVolume, held for
the claim; binding is the binder's. A released volume is erased with its data when its policy says Delete.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from kobune.api.core import PersistentVolume, PersistentVolumeClaim, StorageClass
from kobune.base.quantity import format_quantity, to_bytes
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch

__all__ = [
    "PROVISIONED_BY",
    "PROVISIONER",
    "SELECTED_NODE",
    "ClaimSeen",
    "EraseData",
    "GrowData",
    "MakeData",
    "StorageAction",
    "VolumeSeen",
    "decide_claim",
    "decide_volume",
    "volume_name",
]

PROVISIONER = "kobune.io/local"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BLOCK = "Block"


@dataclass(frozen=True, slots=True)
class MakeData:
    """Make a volume's directory, or its file of that size; repeatable."""

    name: str
    block: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class GrowData:
    """Make a volume's file larger, also for who has it open."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class EraseData:
    """Delete a volume's data; repeatable."""

    name: str


StorageAction: TypeAlias = Action | MakeData | GrowData | EraseData


@dataclass(frozen=True, slots=True)
class ClaimSeen:
    """A claim of our class; its volume as far as it exists; where volumes of this node live."""

    claim: PersistentVolumeClaim
    storage_class: StorageClass
    volume: PersistentVolume | None
    node: str
    directory: str


@dataclass(frozen=True, slots=True)
class VolumeSeen:
    """A volume that says it was made by us, and this node's name."""

    volume: PersistentVolume
    node: str


def volume_name(claim: PersistentVolumeClaim) -> str:
    """Deterministic: a second attempt finds the first one's volume."""
    return f"pvc-{claim.metadata.uid}"


def decide_claim(seen: ClaimSeen) -> Decision[StorageAction]:
    """Make what is missing, or make it larger."""
    claim = seen.claim
    if claim.metadata.deletion_timestamp is not None:
        return Decision()
    if seen.volume is not None:
        return _grow(seen, seen.volume)
    if claim.spec.volume_name or not _is_ours(seen):
        return Decision()
    if claim.spec.data_source is not None or claim.spec.data_source_ref is not None:
        return Decision()
    size = to_bytes(claim.spec.resources.requests.get("storage", 0))
    block = claim.spec.volume_mode == BLOCK
    message = f"Successfully provisioned volume {volume_name(claim)}"
    return Decision(
        actions=(
            MakeData(volume_name(claim), block, size),
            Create(PERSISTENT_VOLUMES, "", _volume(seen, size), None),
        ),
        events=(Event(EventType.NORMAL, "ProvisioningSucceeded", message),),
    )


def _is_ours(seen: ClaimSeen) -> bool:
    """The selected node serves; without a selection, for classes that do not wait, this one."""
    selected = seen.claim.metadata.annotations.get(SELECTED_NODE)
    if selected is not None:
        return selected == seen.node
    return seen.storage_class.volume_binding_mode != "WaitForFirstConsumer"


def _volume(seen: ClaimSeen, size: int) -> dict[str, Any]:
    claim, meta = seen.claim, seen.claim.metadata
    name = volume_name(claim)
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [seen.node]}
    return {
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": format_quantity(size, binary=True)},
            "accessModes": claim.spec.access_modes,
            "volumeMode": claim.spec.volume_mode or "Filesystem",
            "persistentVolumeReclaimPolicy": seen.storage_class.reclaim_policy or "Delete",
            "storageClassName": claim.spec.storage_class_name or "",
            "local": {"path": f"{seen.directory}/{name}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": meta.namespace,
                "name": meta.name,
                "uid": meta.uid,
            },
        },
    }


def _grow(seen: ClaimSeen, volume: PersistentVolume) -> Decision[StorageAction]:
    claim = seen.claim
    wanted = to_bytes(claim.spec.resources.requests.get("storage", 0))
    ours = volume.metadata.annotations.get(PROVISIONED_BY) == PROVISIONER
    if not ours or claim.status.phase != "Bound" or seen.storage_class.allow_volume_expansion is not True:
        return Decision()
    actions: list[StorageAction] = []
    text = format_quantity(wanted, binary=True)
    if wanted > to_bytes(volume.spec.capacity.get("storage", 0)):
        if volume.spec.volume_mode == BLOCK:
            actions.append(GrowData(volume.metadata.name, wanted))
        patch = Patch.merge({"spec": {"capacity": {"storage": text}}})
        actions.append(PatchObject(PERSISTENT_VOLUMES, Key("", volume.metadata.name), patch))
    if wanted <= to_bytes(claim.status.capacity.get("storage", 0)):
        return Decision(tuple(actions))
    observed = to_builtins(claim.status)
    status = observed | {"capacity": {"storage": text}}
    key = Key(claim.metadata.namespace, claim.metadata.name)
    return Decision(tuple(actions), StatusPatch(PERSISTENT_VOLUME_CLAIMS, key, status, observed))


def decide_volume(seen: VolumeSeen) -> Decision[StorageAction]:
    """Erase a released volume of this node when its policy says so."""
    volume = seen.volume
    if volume.metadata.annotations.get(PROVISIONED_BY) != PROVISIONER or volume.status.phase != "Released":
        return Decision()
    if volume.spec.persistent_volume_reclaim_policy != "Delete" or not _on_node(volume, seen.node):
        return Decision()
    name = volume.metadata.name
    return Decision(actions=(EraseData(name), Delete(PERSISTENT_VOLUMES, Key("", name), volume.metadata.uid)))


def _on_node(volume: PersistentVolume, node: str) -> bool:
    required = volume.spec.node_affinity.required if volume.spec.node_affinity else None
    return required is not None and any(
        node in own.values for term in required.node_selector_terms for own in term.match_expressions
    )
