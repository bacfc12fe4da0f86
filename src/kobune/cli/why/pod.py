"""Why a launcher pod does not run: no node takes it, an image cannot be had, a volume cannot be mounted. Pure."""

import re
from datetime import datetime
from typing import Final

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import parse_time
from kobune.base.quantity import format_quantity, parse_quantity
from kobune.cli.why.seen import Explanation, Seen

__all__ = ["launcher_trouble"]

IMAGE_ERRORS: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
FAILED_STEPS: Final = ("FailedMount", "FailedMapVolume", "FailedAttachVolume", "FailedCreatePodSandBox")

_CPU_LABELS: Final = {"cpu-model.node.kubevirt.io": "CPU model", "cpu-feature.node.kubevirt.io": "CPU feature"}
_ON_EVERY_POD: Final = ("kubernetes.io/arch", "kubevirt.io/schedulable", "machine-type.node.kubevirt.io/q35")
_NO_MATCH: Final = "didn't match Pod's node affinity/selector"
_IMAGE_IN_MESSAGE: Final = re.compile(r'image "([^"]+)"')
_ABSENT: Final = re.compile(r'(secret|configmap) "([^"]+)" not found')

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


_CHECK_NAME: Final = "Check the name and the tag of the image in the machine's volumes"
_LOGIN: Final = "In a registry that wants a login: name a Secret in containerDisk.imagePullSecret"
_IMAGE_REMEDIES: Final = (
    (
        ("no such host", "dial tcp", "i/o timeout", "connection refused", "network is unreachable"),
        (
            f"The node does not reach the registry. {_CHECK_NAME}",
            "If it is right: the node's network and name service, or a registry that it reaches, have to be mended",
        ),
    ),
    (("unauthorized", "authentication required", "access denied", "denied:", "forbidden"), (_LOGIN, _CHECK_NAME)),
    (("x509", "certificate"), ("The node does not trust the registry's certificate: add its authority on the node",)),
)
"""Words of containerd's message, and the way out."""


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
        (_selectors(pod) if _NO_MATCH in message else _with_amount(pod, remedies[:2]))
        or (f"kubectl describe pod -n {seen.namespace} {pod.metadata.name}",),
    )


def _selectors(pod: Pod) -> tuple[str, ...]:
    """What the pod asks of a node by its labels, in the words of the machine."""
    said: list[str] = []
    asked = [f"{key}={value}" for key, value in sorted(pod.spec.node_selector.items()) if key not in _ON_EVERY_POD]
    for key in sorted(pod.spec.node_selector):
        kind, _, name = key.partition("/")
        if kind in _CPU_LABELS:
            said.append(f"No node offers the {_CPU_LABELS[kind]} {name}: kubectl get nodes -o yaml | grep {kind}")
    if said:
        return tuple(said)
    if asked:
        return (f"Label a node with {', '.join(asked)}, or change nodeSelector: kubectl get nodes --show-labels",)
    return ("The node may take no guests now: kubectl get nodes -L kubevirt.io/schedulable; `kobune status`",)


def _with_amount(pod: Pod, remedies: tuple[str, ...]) -> tuple[str, ...]:
    """The ways out, with what the pod asks for where it asks for too much."""
    if not any(text.startswith("Give the guest") for text in remedies):
        return remedies
    asked = [
        f"{name} {format_quantity(total, binary=name == 'memory')}"
        for name in ("memory", "cpu")
        if (total := sum(parse_quantity(c.resources.requests.get(name, 0)) for c in pod.spec.containers))
    ]
    where = f"The pod asks for {', '.join(asked)}; what there is: kubectl describe nodes"
    return (*remedies, where) if asked else remedies


def _no_image(seen: Seen, pod: Pod) -> Explanation | None:
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    for status in statuses:
        waiting = status.state.waiting
        if waiting is None or waiting.reason not in IMAGE_ERRORS:
            continue
        message = waiting.message or waiting.reason
        # A container waits for the images of its volumes as well; the message says which one it is.
        named = _IMAGE_IN_MESSAGE.search(message)
        image = named[1] if named else status.image or _image_of(pod, status.name)
        return _image_missing(seen, pod, waiting.reason, image, message)
    return None


def _image_missing(seen: Seen, pod: Pod, state: str, image: str, message: str) -> Explanation:
    return Explanation(
        state,
        f"The image {image} cannot be had: {message}",
        _since(pod),
        "the image; it is pulled again by itself",
        (f"It is no image of the machine's own: kubectl describe pod -n {seen.namespace} {pod.metadata.name}",)
        if seen.vmi is not None and image not in _images(seen.vmi)
        else next(
            (advice for words, advice in _IMAGE_REMEDIES if any(word in message.lower() for word in words)),
            (_CHECK_NAME, _LOGIN),
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
            return _image_missing(seen, pod, "ErrImagePull", volume.container_disk.image, event.message)
    return Explanation(
        "Starting",
        f"The node cannot prepare the launcher pod: {event.message}",
        _since(pod),
        "the node's next attempt",
        (*_absent(seen, event.message), f"kubectl describe pod -n {seen.namespace} {pod.metadata.name}"),
    )


def _absent(seen: Seen, message: str) -> tuple[str, ...]:
    """A Secret or a ConfigMap that is not there."""
    found = _ABSENT.search(message)
    if found is None:
        return ()
    kind = {"secret": "Secret", "configmap": "ConfigMap"}[found[1]]
    return (
        f"Create the {kind} {found[2]} in namespace {seen.namespace}, or name another one in the machine's volumes",
    )


def _images(vmi: VirtualMachineInstance) -> set[str]:
    """The images that the machine names."""
    images = {volume.container_disk.image for volume in vmi.spec.volumes if volume.container_disk is not None}
    boot = vmi.spec.domain.firmware.kernel_boot if vmi.spec.domain.firmware is not None else None
    if boot is not None and boot.container is not None:
        images.add(boot.container.image or "")
    return images


def _since(pod: Pod) -> datetime | None:
    since = pod.status.start_time or pod.metadata.creation_timestamp
    return parse_time(since) if since else None


def _image_of(pod: Pod, name: str) -> str:
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    return next((item.image for item in containers if item.name == name), name)
