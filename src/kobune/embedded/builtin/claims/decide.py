"""Binding and protection of a persistent volume claim. Pure.

Source: the Kubernetes documentation of persistent volumes (binding, storage object in use protection). Provisioning
is not here: a volume that fits must exist. The volume is written first, so that two claims never share one: its
revision decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from kobune.api.core import PersistentVolume, PersistentVolumeClaim
from kobune.base.quantity import to_bytes
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.client.selectors import parse_labels, render_selector
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Decision, Event, EventType, PatchObject, StatusPatch

__all__ = ["PROTECTION", "Observed", "decide"]

PROTECTION: Final = "kubernetes.io/pvc-protection"
_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"


@dataclass(frozen=True, slots=True)
class Observed:
    """A claim, the volume that it names, all volumes without an owner of their own, and the pods that use it.

    `waits` is true when its storage class binds only once a pod was placed, and none was.
    """

    claim: PersistentVolumeClaim
    volume: PersistentVolume | None
    volumes: tuple[PersistentVolume, ...]
    users: tuple[str, ...]
    waits: bool


def decide(seen: Observed) -> Decision[Action]:
    """Let go of an unused claim that is deleted; bind one that is not bound; show what it is bound to."""
    claim, metadata = seen.claim, seen.claim.metadata
    key = Key(metadata.namespace, metadata.name)
    if metadata.deletion_timestamp is not None:
        if PROTECTION not in metadata.finalizers or seen.users:
            return Decision()
        rest = [name for name in metadata.finalizers if name != PROTECTION]
        body = {"metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version, "finalizers": rest}}
        return Decision((PatchObject(PERSISTENT_VOLUME_CLAIMS, key, Patch.merge(body)),))
    if not claim.spec.volume_name:
        chosen = None if seen.waits else _choose(claim, seen.volumes)
        if chosen is None:
            text = "The volume is made once a pod that uses this claim has a node"
            events = (Event(EventType.NORMAL, "WaitForFirstConsumer", text),) if seen.waits else ()
            return Decision((), _status(seen, "Pending", {}), events)
        return Decision((*_hold(claim, chosen), _name(key, claim, chosen)))
    volume = seen.volume
    if volume is None:
        lost = _COMPLETED in metadata.annotations
        return Decision((), _status(seen, "Lost" if lost else "Pending", {}))
    reference = volume.spec.claim_ref
    if reference is not None and not _refers_to(volume, claim):
        return Decision((), _status(seen, "Lost" if _COMPLETED in metadata.annotations else "Pending", {}))
    actions = [*_hold(claim, volume)]
    if _COMPLETED not in metadata.annotations:
        patch = Patch.merge({"metadata": {"annotations": {_COMPLETED: "yes"}}})
        actions.append(PatchObject(PERSISTENT_VOLUME_CLAIMS, key, patch))
    bound = {"capacity": dict(volume.spec.capacity), "accessModes": list(volume.spec.access_modes)}
    return Decision(tuple(actions), _status(seen, "Bound", bound))


def _refers_to(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume is held for this claim, by uid or, before a binding, by name."""
    reference = volume.spec.claim_ref
    if reference is None:
        return False
    same = (reference.namespace, reference.name) == (claim.metadata.namespace, claim.metadata.name)
    return same and reference.uid in ("", claim.metadata.uid)


def _choose(claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume]) -> PersistentVolume | None:
    """A volume that is held for this claim, else the smallest free one that fits."""
    fitting = [volume for volume in volumes if _fits(claim, volume)]
    held = [volume for volume in fitting if _refers_to(volume, claim)]
    free = [volume for volume in fitting if volume.spec.claim_ref is None]
    free.sort(key=lambda volume: (to_bytes(volume.spec.capacity.get("storage", 0)), volume.metadata.name))
    return next(iter(held or free), None)


def _fits(claim: PersistentVolumeClaim, volume: PersistentVolume) -> bool:
    spec, offered = claim.spec, volume.spec
    if volume.metadata.deletion_timestamp is not None or (spec.storage_class_name or "") != offered.storage_class_name:
        return False
    if (spec.volume_mode or "Filesystem") != (offered.volume_mode or "Filesystem"):
        return False
    if not set(spec.access_modes) <= set(offered.access_modes):
        return False
    if spec.selector is not None and not parse_labels(render_selector(spec.selector))(volume.metadata.labels):
        return False
    wanted = (spec.resources.requests or {}).get("storage", 0)
    return to_bytes(wanted) <= to_bytes(offered.capacity.get("storage", 0))


def _hold(claim: PersistentVolumeClaim, volume: PersistentVolume) -> tuple[Action, ...]:
    """Make the volume refer to the claim, unless it does; conditional, because another claim may want it too."""
    reference = volume.spec.claim_ref
    if reference is not None and reference.uid == claim.metadata.uid:
        return ()
    metadata: dict[str, Any] = {"resourceVersion": volume.metadata.resource_version}
    if reference is None:
        metadata["annotations"] = {_BY_CONTROLLER: "yes"}
    held = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": claim.metadata.namespace,
        "name": claim.metadata.name,
        "uid": claim.metadata.uid,
        "resourceVersion": claim.metadata.resource_version,
    }
    patch = Patch.merge({"metadata": metadata, "spec": {"claimRef": held}})
    return (PatchObject(PERSISTENT_VOLUMES, Key("", volume.metadata.name), patch),)


def _name(key: Key, claim: PersistentVolumeClaim, volume: PersistentVolume) -> Action:
    metadata = {"uid": claim.metadata.uid, "annotations": {_COMPLETED: "yes", _BY_CONTROLLER: "yes"}}
    body = {"metadata": metadata, "spec": {"volumeName": volume.metadata.name}}
    return PatchObject(PERSISTENT_VOLUME_CLAIMS, key, Patch.merge(body))


def _status(seen: Observed, phase: str, bound: dict[str, Any]) -> StatusPatch:
    observed = to_builtins(seen.claim.status)
    kept = {name: value for name, value in observed.items() if name not in ("phase", "capacity", "accessModes")}
    if bound and "capacity" in observed:
        # Once bound, the capacity belongs to whoever resizes the volume.
        bound = {**bound, "capacity": observed["capacity"]}
    metadata = seen.claim.metadata
    key = Key(metadata.namespace, metadata.name)
    return StatusPatch(PERSISTENT_VOLUME_CLAIMS, key, {**kept, "phase": phase, **bound}, observed)
