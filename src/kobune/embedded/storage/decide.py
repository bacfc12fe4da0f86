"""What a claim or a volume of the class `local` needs now. Pure.

A claim is served by the node that was selected for it: the volume's data is made, then the PersistentVolume, held for
the claim; binding is the binder's. A released volume is erased with its data when its policy says Delete; a finalizer
keeps the PersistentVolume until that is done.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from kobune.api.core import PersistentVolume, PersistentVolumeClaim, StorageClass
from kobune.base.quantity import format_quantity, to_bytes
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject, StatusPatch

__all__ = [
    "FINALIZER",
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

PROVISIONER = "local.kobune.io"
FINALIZER = f"{PROVISIONER}/data"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BLOCK = "Block"
ALIGNMENT_BYTES = 4096
"""Sizes are rounded up to it: a loop device shows whole sectors of any size up to this one."""
LOOK_AGAIN = timedelta(seconds=60)
"""Nothing tells that a file system has room again."""


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
    """A claim of our class; its volume as far as it exists; where volumes of this node live, and the room there."""

    claim: PersistentVolumeClaim
    storage_class: StorageClass
    volume: PersistentVolume | None
    node: str
    directory: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class VolumeSeen:
    """A volume that says it was made by us; this node, where its volumes live.

    `claim_exists`: the API, not a cache, still has the claim that the volume is held for.
    """

    volume: PersistentVolume
    node: str
    directory: str
    claim_exists: bool


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
    if claim.spec.selector is not None:
        return _refuse(
            "ProvisioningFailed", "spec.selector is not supported by class local: remove it, or name a volume"
        )
    size = _size(claim)
    if size > seen.free_bytes:
        return _refuse("ProvisioningFailed", _no_room(seen, size), LOOK_AGAIN)
    block = claim.spec.volume_mode == BLOCK
    message = f"Successfully provisioned volume {volume_name(claim)}"
    return Decision(
        actions=(
            MakeData(volume_name(claim), block, size),
            Create(PERSISTENT_VOLUMES, "", _volume(seen, size), None),
        ),
        events=(Event(EventType.NORMAL, "ProvisioningSucceeded", message),),
    )


def _size(claim: PersistentVolumeClaim) -> int:
    asked = to_bytes(claim.spec.resources.requests.get("storage", 0))
    return -(-asked // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _refuse(reason: str, message: str, again: timedelta | None = None) -> Decision[StorageAction]:
    return Decision(events=(Event(EventType.WARNING, reason, message),), requeue_after=again)


def _no_room(seen: ClaimSeen, needed: int) -> str:
    return (
        f"node {seen.node} has {seen.free_bytes >> 20} MiB free in {seen.directory}, {-(-needed >> 20)} MiB more are "
        "needed: delete volumes or images there, or ask for less"
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
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}, "finalizers": [FINALIZER]},
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
    wanted = _size(claim)
    ours = volume.metadata.annotations.get(PROVISIONED_BY) == PROVISIONER
    if not ours or claim.status.phase != "Bound" or seen.storage_class.allow_volume_expansion is not True:
        return Decision()
    actions: list[StorageAction] = []
    text = format_quantity(wanted, binary=True)
    known = to_bytes(volume.spec.capacity.get("storage", 0))
    if wanted - known > seen.free_bytes:
        return _refuse("VolumeResizeFailed", _no_room(seen, wanted - known), LOOK_AGAIN)
    if wanted > known:
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
    """Erase a volume of this node that nobody can use any more, when its policy says so; else only let it go."""
    volume, meta = seen.volume, seen.volume.metadata
    path = volume.spec.local.path if volume.spec.local else ""
    ours = meta.annotations.get(PROVISIONED_BY) == PROVISIONER and path == f"{seen.directory}/{meta.name}"
    if not ours or not _on_node(volume, seen.node) or seen.claim_exists:
        return Decision()
    leaves = meta.deletion_timestamp is not None
    # A free volume may be bound again: only who deletes it wants its data gone.
    if volume.status.phase not in (("Released", "Failed", "Available") if leaves else ("Released", "Failed")):
        return Decision()
    if volume.spec.persistent_volume_reclaim_policy != "Delete":
        return Decision(_let_go(volume) if leaves else ())
    gone: tuple[StorageAction, ...] = () if leaves else (Delete(PERSISTENT_VOLUMES, Key("", meta.name), meta.uid),)
    return Decision((EraseData(meta.name), *_let_go(volume), *gone))


def _let_go(volume: PersistentVolume) -> tuple[StorageAction, ...]:
    meta = volume.metadata
    if FINALIZER not in meta.finalizers:
        return ()
    rest = [name for name in meta.finalizers if name != FINALIZER]
    body = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": rest}}
    return (PatchObject(PERSISTENT_VOLUMES, Key("", meta.name), Patch.merge(body)),)


def _on_node(volume: PersistentVolume, node: str) -> bool:
    required = volume.spec.node_affinity.required if volume.spec.node_affinity else None
    return required is not None and any(
        node in own.values for term in required.node_selector_terms for own in term.match_expressions
    )
