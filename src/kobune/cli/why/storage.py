"""Why a machine's volumes are not there: claims that are missing or unbound, DataVolumes that fill. Pure."""

from typing import Any

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import parse_time
from kobune.cli.why.seen import Explanation, Seen

__all__ = ["plugging_notes", "storage_trouble"]

DONE = ("Succeeded", "WaitForFirstConsumer", "PendingPopulation")


def storage_trouble(seen: Seen) -> Explanation | None:
    """None when every claim is bound, or will be once the pod has a node."""
    # A DataVolume makes its claim, so it is the cause and comes first.
    for volume in seen.data_volumes:
        if (volume.get("status") or {}).get("phase") not in DONE:
            return _data_volume(seen, volume)
    missing = list(seen.missing_claims)
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


def _created(seen: Seen) -> Any:
    owner = seen.vmi or seen.vm
    created = owner.metadata.creation_timestamp if owner is not None else None
    return parse_time(created) if created else None


def plugging_notes(vmi: VirtualMachineInstance) -> list[str]:
    """Volumes that are on their way into a running guest, or out of it, and how far they are."""
    notes = []
    wanted = {volume.name for volume in vmi.spec.volumes}
    for found in vmi.status.volume_status:
        if found.hotplug_volume is None or (found.phase == "Ready" and found.name in wanted):
            continue
        way = "being plugged in" if found.name in wanted else "being unplugged"
        why = found.message or found.reason or "its pod is being made"
        notes.append(f"Volume {found.name} is {way} ({found.phase or 'Pending'}): {why}")
    return notes
