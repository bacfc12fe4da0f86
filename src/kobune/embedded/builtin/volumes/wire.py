"""Wires volumes: a claim leads to the volume that it names and to those that refer to it."""

from collections.abc import Iterable
from dataclasses import dataclass

from kobune.api.core import PersistentVolume, PersistentVolumeClaim
from kobune.embedded.builtin.volumes.decide import Observed, decide
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer, by_field
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one volume from caches."""

    volumes: Informer[PersistentVolume]
    claims: Informer[PersistentVolumeClaim]

    async def __call__(self, key: Key) -> Observed | None:
        """None once the volume is gone."""
        volume = self.volumes.get(key)
        if volume is None:
            return None
        reference = volume.spec.claim_ref
        claim = self.claims.get(Key(reference.namespace, reference.name)) if reference is not None else None
        return Observed(volume, claim)


def _claim_of(volume: PersistentVolume) -> str | None:
    reference = volume.spec.claim_ref
    return f"{reference.namespace}/{reference.name}" if reference is not None else None


_BY_CLAIM = by_field(_claim_of)


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    volumes = process.informers.of(PERSISTENT_VOLUMES, indexes={"claim": _BY_CLAIM})
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS)

    def volumes_of(claim: PersistentVolumeClaim) -> Iterable[Key]:
        return [key_of(volume) for volume in volumes.by_index("claim", str(key_of(claim)))]

    def came_or_went(old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> bool:
        return old is None or new is None

    process.add(
        "volumes",
        primary=volumes,
        observe=Observe(volumes, claims),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(claims, volumes_of, came_or_went)],
        workers=2,
    )
