"""Why a launcher pod does not run: no node takes it, an image cannot be had, a volume cannot be mounted. Pure."""

from datetime import datetime
from typing import Final

from kobune.api.core import Pod
from kobune.base.clock import parse_time
from kobune.cli.why.seen import Explanation, Seen

__all__ = ["launcher_trouble"]

IMAGE_ERRORS: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
FAILED_STEPS: Final = ("FailedMount", "FailedMapVolume", "FailedAttachVolume", "FailedCreatePodSandBox")

# What the scheduler's message names, and the way out. The words are those of the Kubernetes scheduler.
_REMEDIES: Final = (
    ("devices.kubevirt.io/kvm", "No node offers KVM: enable virtualization on a node, or allow software emulation"),
    ("insufficient memory", "Give the guest less memory, stop another machine, or add a node"),
    ("insufficient cpu", "Give the guest fewer CPUs, stop another machine, or add a node"),
    ("node affinity", "Label a node as nodeSelector and affinity ask, or change them: kubectl get nodes --show-labels"),
    ("node selector", "Label a node as nodeSelector asks, or change it: kubectl get nodes --show-labels"),
    ("taint", "Add a toleration to the machine, or remove the taint: kubectl describe nodes"),
    ("unschedulable", "Allow pods on a node again: kubectl uncordon NODE"),
    ("persistentvolumeclaim", "See why the claim is not bound: kubectl get pvc, kubectl describe pvc"),
)


def launcher_trouble(seen: Seen) -> Explanation | None:
    """None while the pod is on its way."""
    for pod in seen.pods:
        found = _unschedulable(seen, pod) or _no_image(seen, pod) or _failed_step(seen, pod)
        if found is not None:
            return found
    return None


def _unschedulable(seen: Seen, pod: Pod) -> Explanation | None:
    found = next((item for item in pod.status.conditions if item.type == "PodScheduled"), None)
    if found is None or found.status != "False":
        return None
    message = found.message or found.reason
    remedies = tuple(advice for word, advice in _REMEDIES if word in message.lower())
    since = found.last_transition_time or pod.metadata.creation_timestamp
    return Explanation(
        "ErrorUnschedulable",
        f"No node takes the launcher pod: {message}",
        parse_time(since) if since else None,
        "a node that fits",
        remedies[:2] or (f"kubectl describe pod -n {seen.namespace} {pod.metadata.name}",),
    )


def _no_image(seen: Seen, pod: Pod) -> Explanation | None:
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    for status in statuses:
        waiting = status.state.waiting
        if waiting is None or waiting.reason not in IMAGE_ERRORS:
            continue
        image = status.image or _image_of(pod, status.name)
        return _image_missing(pod, waiting.reason, image, waiting.message or waiting.reason)
    return None


def _image_missing(pod: Pod, state: str, image: str, message: str) -> Explanation:
    return Explanation(
        state,
        f"The image {image} cannot be had: {message}",
        _since(pod),
        "the image; it is pulled again by itself",
        (
            f"Check the name and the tag of {image} in the machine's volumes",
            "In a registry that wants a login: name a Secret in containerDisk.imagePullSecret",
        ),
    )


def _failed_step(seen: Seen, pod: Pod) -> Explanation | None:
    """What the node could not do for a pod that waits; only its events tell. A container disk is a volume, too."""
    if pod.status.phase != "Pending":
        return None
    event = next(
        (
            item
            for item in reversed(seen.events)
            if item.involved_object.kind == "Pod"
            and item.involved_object.name == pod.metadata.name
            and item.reason in FAILED_STEPS
        ),
        None,
    )
    if event is None:
        return None
    for volume in seen.vmi.spec.volumes if seen.vmi is not None else ():
        if volume.container_disk is not None and f'"{volume.name}"' in event.message:
            return _image_missing(pod, "ErrImagePull", volume.container_disk.image, event.message)
    return Explanation(
        "Starting",
        f"The node cannot prepare the launcher pod: {event.message}",
        _since(pod),
        "the node's next attempt",
        (f"kubectl describe pod -n {seen.namespace} {pod.metadata.name}",),
    )


def _since(pod: Pod) -> datetime | None:
    since = pod.status.start_time or pod.metadata.creation_timestamp
    return parse_time(since) if since else None


def _image_of(pod: Pod, name: str) -> str:
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    return next((item.image for item in containers if item.name == name), name)
