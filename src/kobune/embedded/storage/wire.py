"""Feeds the provisioner: claims of its classes, and volumes that it has made."""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from kobune.api.core import PersistentVolume, PersistentVolumeClaim, StorageClass
from kobune.embedded.storage.data import VolumeData
from kobune.embedded.storage.decide import (
    PROVISIONED_BY,
    PROVISIONER,
    ClaimSeen,
    EraseData,
    GrowData,
    MakeData,
    StorageAction,
    VolumeSeen,
    decide_claim,
    decide_volume,
    volume_name,
)
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES
from kobune.kube.client.errors import NotFound
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.kube.runtime import Action, ControllerProcess, Create, Delete, PatchObject, Watch, Written
from kobune.kube.runtime.decision import Apply

__all__ = ["add_storage"]


def add_storage(process: ControllerProcess, node: str, directory: Path, data: VolumeData) -> None:
    """Add the provisioner of one node to a process."""
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS)
    volumes = process.informers.of(PERSISTENT_VOLUMES)
    classes = process.informers.of(STORAGE_CLASSES)
    storage = _Storage(claims, volumes, classes, node, directory, data, process)

    def claims_of_volume(volume: PersistentVolume) -> list[Key]:
        reference = volume.spec.claim_ref
        return [Key(reference.namespace, reference.name)] if reference is not None else []

    def waiting(_: StorageClass) -> list[Key]:
        return [key_of(claim) for claim in claims.list() if not claim.spec.volume_name]

    process.add(
        "local-claims",
        primary=claims,
        observe=storage.observe_claim,
        decide=decide_claim,
        execute=storage.execute,
        watches=[Watch(volumes, claims_of_volume), Watch(classes, waiting)],
        workers=2,
    )
    process.add(
        "local-volumes",
        primary=volumes,
        observe=storage.observe_volume,
        decide=decide_volume,
        execute=storage.execute,
        workers=1,
    )


@dataclass(frozen=True, slots=True)
class _Storage:
    claims: Informer[PersistentVolumeClaim]
    volumes: Informer[PersistentVolume]
    classes: Informer[StorageClass]
    node: str
    directory: Path
    data: VolumeData
    process: ControllerProcess

    async def observe_claim(self, key: Key) -> ClaimSeen | None:
        claim = self.claims.get(key)
        if claim is None:
            return None
        storage_class = self.classes.get(Key("", claim.spec.storage_class_name or ""))
        if storage_class is None or storage_class.provisioner != PROVISIONER:
            return None
        volume = self.volumes.get(Key("", claim.spec.volume_name or volume_name(claim)))
        return ClaimSeen(claim, storage_class, volume, self.node, str(self.directory), self.data.free_bytes())

    async def observe_volume(self, key: Key) -> VolumeSeen | None:
        volume = self.volumes.get(key)
        if volume is None or volume.metadata.annotations.get(PROVISIONED_BY) != PROVISIONER:
            return None
        if volume.status.phase == "Bound":
            return None
        return VolumeSeen(volume, self.node, str(self.directory), await self._claim_exists(volume))

    async def _claim_exists(self, volume: PersistentVolume) -> bool:
        """By the API: data is not erased on the word of a cache, this one's or the phase's writer's."""
        reference = volume.spec.claim_ref
        if reference is None:
            return False
        try:
            claim = await self.process.client.get(PERSISTENT_VOLUME_CLAIMS, reference.name, reference.namespace)
        except NotFound:
            return False
        return claim.metadata.uid == reference.uid

    async def execute(self, action: StorageAction) -> Written | None:
        match action:
            case MakeData():
                await self.data.make(action.name, block=action.block, size_bytes=action.size_bytes)
                return None
            case GrowData():
                await self.data.grow(action.name, action.size_bytes)
                return None
            case EraseData():
                await self.data.erase(action.name)
                return None
            case Create() | Apply() | PatchObject() | Delete():
                written: Action = action
                return await self.process.writer.execute(written)
            case _:
                assert_never(action)
