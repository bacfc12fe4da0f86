"""Wires claims: volumes and pods lead to the claims that they hold or use."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kobune.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from kobune.api.meta import Object, ObjectMeta
from kobune.embedded.builtin.claims.decide import Observed, decide
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS
from kobune.kube.client.objects import key_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key, Resource
from kobune.kube.informer import Informer
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]

_SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"


class StorageClass(Object, frozen=True, kw_only=True):
    """As much of a storage.k8s.io/v1 StorageClass as binding needs."""

    metadata: ObjectMeta = ObjectMeta()
    volume_binding_mode: str | None = None


_STORAGE_CLASSES: Final = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False, StorageClass)


class _PodVolumes(msgspec.Struct, frozen=True):
    """What a pod says about claims; read once more from the API before a claim is let go."""

    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] = {}


_LIVE_PODS: Final = Resource("", "v1", "pods", "Pod", True, _PodVolumes)


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one claim."""

    client: Client
    claims: Informer[PersistentVolumeClaim]
    volumes: Informer[PersistentVolume]
    pods: Informer[Pod]
    classes: Informer[StorageClass]

    async def __call__(self, key: Key) -> Observed | None:
        """None once the claim is gone."""
        claim = self.claims.get(key)
        if claim is None:
            return None
        users = tuple(pod.metadata.name for pod in self.pods.by_index("claim", str(key)))
        if claim.metadata.deletion_timestamp is not None and not users:
            # The cache may be behind, and a claim that is gone can't come back.
            page = await self.client.list(_LIVE_PODS, key.namespace)
            users = tuple(pod.metadata.name for pod in page.items if str(key) in _claims_of(pod))
        volume = self.volumes.get(Key("", claim.spec.volume_name)) if claim.spec.volume_name else None
        return Observed(claim, volume, tuple(self.volumes.list()), users, self._waits(claim))

    def _waits(self, claim: PersistentVolumeClaim) -> bool:
        known = self.classes.get(Key("", claim.spec.storage_class_name or ""))
        late = known is not None and known.volume_binding_mode == "WaitForFirstConsumer"
        return late and _SELECTED_NODE not in claim.metadata.annotations


def _claims_of(pod: Any) -> Iterable[str]:
    """The claims, as text keys, of a typed or a live pod that was placed on a node (others can't have mounted them)."""
    document = msgspec.to_builtins(pod)
    metadata, spec = document["metadata"], document.get("spec") or {}
    if not spec.get("nodeName"):
        return ()
    found = []
    for volume in spec.get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.append(str(Key(metadata["namespace"], volume["persistentVolumeClaim"]["claimName"])))
        elif volume.get("ephemeral"):
            found.append(str(Key(metadata["namespace"], f"{metadata['name']}-{volume['name']}")))
    return tuple(found)


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS)
    volumes = process.informers.of(PERSISTENT_VOLUMES)
    pods = process.informers.of(PODS, indexes={"claim": _claims_of})
    classes = process.informers.of(_STORAGE_CLASSES)

    def claims_of_pod(pod: Pod) -> Iterable[Key]:
        return [Key(*text.split("/", 1)) for text in _claims_of(pod)]

    def came_or_went(old: Pod | None, new: Pod | None) -> bool:
        return old is None or new is None

    def claims_of_volume(volume: PersistentVolume) -> Iterable[Key]:
        reference = volume.spec.claim_ref
        if reference is not None and reference.name:
            return (Key(reference.namespace, reference.name),)
        # A free volume: whoever waits for one.
        return [key_of(claim) for claim in claims.list() if not claim.spec.volume_name]

    process.add(
        "claims",
        primary=claims,
        observe=Observe(process.client, claims, volumes, pods, classes),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(pods, claims_of_pod, came_or_went), Watch(volumes, claims_of_volume)],
        reads=[classes],
        workers=2,
    )
