"""What a launcher pod tells about its instance: how far it is, and the conditions that follow.

Pure; works on the status as decoded JSON.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from kobune.api.core import PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import parse_time
from kobune.base.quantity import format_quantity
from kobune.virt.controllers.conditions import condition, remove_condition, set_condition
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import COMPUTE
from kobune.virt.controllers.virtualmachineinstance.overhead import guest_memory_bytes, memory_overhead_bytes
from kobune.virt.controllers.virtualmachineinstance.resources import KVM_DEVICE
from kobune.virt.controllers.words import FINAL_PHASES
from kobune.virt.domain.readiness import readiness

__all__ = [
    "CLAIM_MISSING",
    "POD_REFUSED",
    "claim_facts",
    "claimed_volumes",
    "current_pod",
    "ended_well",
    "first_facts",
    "has_ended",
    "is_over",
    "pod_facts",
    "pod_missing",
    "ready",
    "runs",
    "scheduling_conditions",
    "time_for_handler",
    "time_for_shutdown",
]

SHUTDOWN_GRACE: Final = timedelta(seconds=5)
"""How long virt-handler and the launcher may take to end a guest before its pod is deleted under them."""
HANDLER_GRACE: Final = timedelta(seconds=20)
"""How long a pod may be over before virt-controller, and not virt-handler, ends its instance."""

FILESYSTEM_OVERHEAD: Final = "0.055"
"""The part of a claim that its file system may need for itself, as is assumed where nobody has configured another."""

CLAIM_MISSING: Final = "FailedPvcNotFound"
POD_REFUSED: Final = "FailedCreate"
_IMAGE_ERRORS: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")

Status = dict[str, Any]


def current_pod(pods: tuple[Pod, ...]) -> Pod | None:
    """The pod that counts: one that is not over, else any."""
    return min(pods, key=lambda pod: (is_over(pod), pod.metadata.name), default=None)


def is_over(pod: Pod) -> bool:
    """The launcher has ended, whatever other containers of the pod still do."""
    return has_ended(pod) or _compute_exit(pod) is not None


def has_ended(pod: Pod) -> bool:
    """All of the pod has ended."""
    return pod.status.phase in ("Succeeded", "Failed")


def ended_well(pod: Pod) -> bool:
    """Of a launcher that has ended: whether the guest was off or was shut down, not crashed."""
    return pod.status.phase == "Succeeded" or _compute_exit(pod) == 0


def _compute_exit(pod: Pod) -> int | None:
    compute = next((item for item in pod.status.container_statuses if item.name == COMPUTE), None)
    ended = compute.state.terminated if compute is not None else None
    return None if ended is None else ended.exit_code


def runs(pod: Pod) -> bool:
    """The launcher runs; the readiness of `compute` is the guest's and comes later."""
    if pod.status.phase != "Running" or pod.metadata.deletion_timestamp is not None or not pod.spec.node_name:
        return False
    statuses = pod.status.container_statuses
    return bool(statuses) and all(
        item.state.running is not None if item.name == COMPUTE else item.ready for item in statuses
    )


def time_for_handler(pod: Pod, now: datetime) -> timedelta | None:
    """How much longer virt-handler may take to tell how the guest ended; None when that time is over."""
    ends = [
        parse_time(item.state.terminated.finished_at)
        for item in pod.status.container_statuses
        if item.state.terminated is not None and item.state.terminated.finished_at
    ]
    if not ends:
        return None
    left = max(ends) + HANDLER_GRACE - now
    return left if left > timedelta() else None


def time_for_shutdown(vmi: VirtualMachineInstance, pod: Pod, now: datetime) -> timedelta | None:
    """How much longer the pod of an instance that is to go is left alone; None when it is to be deleted now.

    virt-handler has the guest powered off, its launcher ends, and the pod with it: what is left to delete then is an
    object, and nothing has to be killed. A guest that takes its time, or a virt-handler that is not there, costs no
    more than this wait: from then on the pod's own end does the same.
    """
    if is_over(pod) or vmi.status.phase not in ("Scheduled", "Running", *FINAL_PHASES):
        return None
    left = parse_time(vmi.metadata.deletion_timestamp or "") + SHUTDOWN_GRACE - now
    return left if left > timedelta() else None


def first_facts(status: Status, vmi: VirtualMachineInstance, pod: Pod) -> None:
    """What is known before the guest runs, and what the others replace once they know better."""
    spec = vmi.spec
    status.setdefault("guestOSInfo", {})
    status.setdefault("runtimeUser", 107)
    if "currentCPUTopology" not in status and spec.domain.cpu is not None:
        cpu = spec.domain.cpu
        status["currentCPUTopology"] = {
            "cores": cpu.cores or 1,
            "sockets": cpu.sockets or 1,
            "threads": cpu.threads or 1,
        }
    if "memory" not in status and (guest := guest_memory_bytes(spec)):
        amount = format_quantity(guest, binary=True)
        kvm = any(KVM_DEVICE in container.resources.requests for container in pod.spec.containers)
        status["memory"] = {
            "guestAtBoot": amount,
            "guestCurrent": amount,
            "guestRequested": amount,
            "memoryOverhead": format_quantity(memory_overhead_bytes(spec, kvm=kvm), binary=True),
        }


def pod_facts(status: Status, pod: Pod) -> None:
    """Where the launcher is and what it is made of."""
    if pod.status.qos_class:
        status["qosClass"] = pod.status.qos_class
    compute = next((item for item in pod.spec.containers if item.name == COMPUTE), None)
    if compute is not None and compute.image:
        status["launcherContainerImageVersion"] = compute.image
    if pod.spec.node_name:
        status["activePods"] = {**status.get("activePods", {}), pod.metadata.uid: pod.spec.node_name}


def claim_facts(status: Status, vmi: VirtualMachineInstance, claims: Mapping[str, PersistentVolumeClaim]) -> None:
    """What the launcher must know of the claims: a disk in one is as large as the claim, and grows with it."""
    known: dict[str, Status] = {entry["name"]: entry for entry in status.get("volumeStatus", ())}
    for volume, name in claimed_volumes(vmi):
        claim = claims.get(name)
        if claim is None:
            continue
        info: Status = {
            "claimName": name,
            "accessModes": list(claim.status.access_modes or claim.spec.access_modes),
            "volumeMode": claim.spec.volume_mode or "Filesystem",
            "requests": {key: str(value) for key, value in claim.spec.resources.requests.items()},
            "filesystemOverhead": FILESYSTEM_OVERHEAD if claim.spec.volume_mode != "Block" else "0",
        }
        if claim.status.capacity:
            info["capacity"] = {key: str(value) for key, value in claim.status.capacity.items()}
        known[volume] = {"target": "", **known.get(volume, {}), "name": volume, "persistentVolumeClaimInfo": info}
    if known:
        status["volumeStatus"] = [known[name] for name in sorted(known)]


def claimed_volumes(vmi: VirtualMachineInstance) -> list[tuple[str, str]]:
    """Volumes and the claims that they name; a DataVolume fills the claim of its own name."""
    found = []
    for volume in vmi.spec.volumes:
        if volume.persistent_volume_claim is not None:
            found.append((volume.name, volume.persistent_volume_claim.claim_name))
        elif volume.data_volume is not None:
            found.append((volume.name, volume.data_volume.name))
        elif volume.ephemeral is not None and volume.ephemeral.persistent_volume_claim is not None:
            found.append((volume.name, volume.ephemeral.persistent_volume_claim.claim_name))
        elif volume.memory_dump is not None:
            found.append((volume.name, volume.memory_dump.claim_name))
    return found


def scheduling_conditions(status: Status, pod: Pod, now: datetime) -> None:
    """PodScheduled when no node takes the pod, Synchronized when its image cannot be had."""
    scheduled = next((item for item in pod.status.conditions if item.type == "PodScheduled"), None)
    if scheduled is not None and scheduled.status == "False":
        set_condition(status, "PodScheduled", "False", now, reason=scheduled.reason, message=scheduled.message)
    else:
        remove_condition(status, "PodScheduled")
    waiting = [item.state.waiting for item in pod.status.container_statuses if item.state.waiting is not None]
    broken = next((item for item in waiting if item.reason in _IMAGE_ERRORS), None)
    if broken is not None:
        set_condition(status, "Synchronized", "False", now, reason=broken.reason, message=broken.message)
    elif (condition(status, "Synchronized") or {}).get("reason") in (*_IMAGE_ERRORS, CLAIM_MISSING, POD_REFUSED):
        remove_condition(status, "Synchronized")


def pod_missing(status: Status, now: datetime) -> None:
    """Not ready, because there is no pod yet."""
    set_condition(
        status,
        "Ready",
        "False",
        now,
        reason="PodNotExists",
        message="virt-launcher pod has not yet been scheduled",
    )


def ready(status: Status, pod: Pod, now: datetime) -> None:
    """The guest counts as ready when it runs and its pod is ready."""
    found = readiness(status["phase"], pod)
    set_condition(status, "Ready", found.status, now, reason=found.reason, message=found.message)
