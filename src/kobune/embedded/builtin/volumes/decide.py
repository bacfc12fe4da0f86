"""The phase and the protection of a persistent volume. Pure.

Source: the Kubernetes documentation of persistent volumes. What becomes of the storage of a released volume is its
provisioner's matter.
"""

from dataclasses import dataclass
from typing import Final

from kobune.api.core import PersistentVolume, PersistentVolumeClaim
from kobune.kube.client.core import PERSISTENT_VOLUMES
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Decision, PatchObject, StatusPatch

__all__ = ["PROTECTION", "Observed", "decide"]

PROTECTION: Final = "kubernetes.io/pv-protection"


@dataclass(frozen=True, slots=True)
class Observed:
    """A volume and the claim of the name that it refers to."""

    volume: PersistentVolume
    claim: PersistentVolumeClaim | None


def decide(seen: Observed) -> Decision[Action]:
    """Show the phase; let go of a volume that is deleted and bound to nothing."""
    metadata = seen.volume.metadata
    key = Key("", metadata.name)
    phase = _phase(seen)
    actions: tuple[Action, ...] = ()
    if metadata.deletion_timestamp is not None and PROTECTION in metadata.finalizers and phase != "Bound":
        rest = [name for name in metadata.finalizers if name != PROTECTION]
        body = {"metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version, "finalizers": rest}}
        return Decision((PatchObject(PERSISTENT_VOLUMES, key, Patch.merge(body)),))
    observed = to_builtins(seen.volume.status)
    if observed.get("phase") == "Failed" and phase == "Released":
        phase = "Failed"
    return Decision(actions, StatusPatch(PERSISTENT_VOLUMES, key, {**observed, "phase": phase}, observed))


def _phase(seen: Observed) -> str:
    reference = seen.volume.spec.claim_ref
    if reference is None or not reference.uid:
        return "Available"
    if seen.claim is None or seen.claim.metadata.uid != reference.uid:
        return "Released"
    return "Bound"
