"""Why a launcher pod does not run: no node takes it, or an image cannot be had. Pure."""

from typing import Final

from kobune.api.core import Pod
from kobune.base.clock import parse_time
from kobune.cli.why.seen import Explanation, Seen

__all__ = ["launcher_trouble"]

IMAGE_ERRORS: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")

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
        found = _unschedulable(seen, pod) or _no_image(seen, pod)
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
        since = pod.status.start_time or pod.metadata.creation_timestamp
        return Explanation(
            waiting.reason,
            f"The image {image} cannot be had: {waiting.message or waiting.reason}",
            parse_time(since) if since else None,
            "the image; it is pulled again by itself",
            (
                f"Check the name and the tag of {image} in the machine's volumes",
                "In a registry that wants a login: name a Secret in containerDisk.imagePullSecret",
            ),
        )
    return None


def _image_of(pod: Pod, name: str) -> str:
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    return next((item.image for item in containers if item.name == name), name)
