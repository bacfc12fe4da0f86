"""Why a machine's volumes are not there: claims that are missing or unbound, DataVolumes that fill. Pure."""

from typing import Any

from kobune.base.clock import parse_time
from kobune.cli.why.seen import Explanation, Seen

__all__ = ["storage_trouble"]

DONE = ("Succeeded", "WaitForFirstConsumer", "PendingPopulation")


def storage_trouble(seen: Seen) -> Explanation | None:
    """None when every claim is bound, or will be once the pod has a node."""
    # A DataVolume makes its claim, so it is the cause and comes first.
    for volume in seen.data_volumes:
        if (volume.get("status") or {}).get("phase") not in DONE:
            return _data_volume(seen, volume)
    missing = list(seen.missing_claims)
    if absent := [name for name in missing if name in _data_volumes_of(seen)]:
        names = ", ".join(absent)
        return Explanation(
            "ErrorPvcNotFound",
            f"There is neither a DataVolume {names} nor a claim of that name in namespace {seen.namespace}.",
            _created(seen),
            f"DataVolume {names}",
            (
                "Make it, or a claim of that name, or name another one in the machine's volumes",
                f"kubectl get datavolume,pvc -n {seen.namespace}",
            ),
        )
    if missing:
        names = ", ".join(missing)
        return Explanation(
            "ErrorPvcNotFound",
            f"PersistentVolumeClaim {names} does not exist in namespace {seen.namespace}.",
            _created(seen),
            f"PersistentVolumeClaim {names}",
            ("Create it, or name another claim in the machine's volumes", f"kubectl get pvc -n {seen.namespace}"),
        )
    for claim in seen.claims:
        if claim.status.phase == "Bound":
            continue
        reason = next(
            (
                event
                for event in reversed(seen.events)
                if event.involved_object.kind == "PersistentVolumeClaim"
                and event.involved_object.name == claim.metadata.name
            ),
            None,
        )
        if reason is not None and reason.reason == "WaitForFirstConsumer" and not _waits_long(seen):
            continue
        lost = claim.status.phase == "Lost"
        wanted_class = claim.spec.storage_class_name or ""
        created = claim.metadata.creation_timestamp
        return Explanation(
            "WaitingForVolumeBinding",
            f"PersistentVolumeClaim {claim.metadata.name} is {claim.status.phase or 'Pending'}"
            + (f": {reason.message}" if reason is not None else _why_unbound(seen, wanted_class)),
            parse_time(created) if created else None,
            f"a volume for {claim.metadata.name}",
            ("The volume is gone: restore it, or make a new claim",)
            if lost
            else (
                f"Create the storage class {wanted_class}, or make the claim with another one: "
                "kubectl get storageclass",
                f"A claim's class cannot change: kubectl delete pvc -n {seen.namespace} {claim.metadata.name}",
            )
            if wanted_class in seen.missing_classes
            else (
                "Its storage class must exist and provision: kubectl get storageclass",
                f"kubectl describe pvc -n {seen.namespace} {claim.metadata.name}",
            ),
        )
    return None


def _why_unbound(seen: Seen, wanted_class: str) -> str:
    return f": there is no storage class {wanted_class}." if wanted_class in seen.missing_classes else "."


def _waits_long(seen: Seen) -> bool:
    """A claim that waits for its first consumer is fine until there is a pod that has a node."""
    return any(pod.spec.node_name for pod in seen.pods)


def _data_volume(seen: Seen, volume: dict[str, Any]) -> Explanation:
    name, status = volume["metadata"]["name"], volume.get("status") or {}
    phase, progress = status.get("phase") or "Pending", status.get("progress")
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    running = next((item for item in conditions if item.get("type") == "Running"), {})
    created = volume["metadata"].get("creationTimestamp")
    since = running.get("lastTransitionTime") or created
    if "not supported" in (running.get("message") or "") or _is_unsupported(seen, name):
        return Explanation(
            "Provisioning",
            f"DataVolume {name} is not filled: this installation imports none yet.",
            parse_time(since) if since else None,
            f"a claim {name}",
            (
                f"Make the claim {name} yourself and fill it from a pod (kubectl cp), or use a container disk",
                f"kubectl describe datavolume -n {seen.namespace} {name}",
            ),
        )
    detail = f" ({progress})" if progress and progress != "N/A" else ""
    message = f": {running['message']}" if running.get("message") else "."
    return Explanation(
        "DataVolumeError" if phase == "Failed" else "Provisioning",
        f"DataVolume {name} is {phase}{detail}{message}",
        parse_time(since) if since else None,
        f"DataVolume {name} to be filled",
        (
            f"kubectl describe datavolume -n {seen.namespace} {name}",
            *(("Is what imports DataVolumes installed? It has not begun",) if "phase" not in status else ()),
        ),
    )


def _is_unsupported(seen: Seen, name: str) -> bool:
    return any(
        event.reason == "NotSupported"
        and event.involved_object.kind == "DataVolume"
        and event.involved_object.name == name
        for event in seen.events
    )


def _data_volumes_of(seen: Seen) -> set[str]:
    """The DataVolumes that volumes name."""
    spec = seen.vmi.spec if seen.vmi is not None else seen.vm.spec.template.spec if seen.vm is not None else None
    return (
        {item.data_volume.name for item in spec.volumes if item.data_volume is not None} if spec is not None else set()
    )


def _created(seen: Seen) -> Any:
    owner = seen.vmi or seen.vm
    created = owner.metadata.creation_timestamp if owner is not None else None
    return parse_time(created) if created else None
