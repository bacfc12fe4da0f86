"""The pod that brings one plugged volume to the node of a running instance, as a pure function.

A pod's volumes are fixed once it is made, so that another pod has the cluster attach and mount the volume beside the
launcher's (docs/flows/hotplug.md). Owns its shape; it runs the launcher's image, which the node has, and does nothing.
"""

import base64
import hashlib
from typing import Any, Final

import msgspec

from kobune.api.core import PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachineInstance, Volume
from kobune.kube.client.core import PODS
from kobune.kube.client.objects import owner_reference
from kobune.virt.domain.hotplug import claim_of
from kobune.virt.domain.hotplug_pod import (
    ATTACHMENT_APP,
    VOLUME_LABEL,
    device_in_attachment,
    folder_in_attachment,
)

__all__ = ["attachment_pod", "attachment_pod_name"]

QEMU_UID: Final = 107
RESOURCES: Final = {"requests": {"cpu": "10m", "memory": "2M"}, "limits": {"cpu": "100m", "memory": "80M"}}
NODE_NAME_FIELD: Final = "metadata.name"


def attachment_pod_name(launcher: Pod, volume: Volume) -> str:
    """The same for the same volume of the same launcher pod."""
    text = "/".join((launcher.metadata.uid, volume.name, claim_of(volume)))
    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()
    return f"hp-volume-{digest[:10]}"


def attachment_pod(
    vmi: VirtualMachineInstance, launcher: Pod, volume: Volume, claim: PersistentVolumeClaim
) -> dict[str, Any]:
    """The pod that holds `volume` on the node of `launcher`."""
    name = volume.name
    container: dict[str, Any] = {
        "name": ATTACHMENT_APP,
        "image": next((item.image for item in launcher.spec.containers if item.name == "compute"), ""),
        # The launcher runs from it beside this pod, so that nothing is pulled.
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sleep", "infinity"],
        "resources": RESOURCES,
        "securityContext": {
            "runAsUser": QEMU_UID,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if claim.spec.volume_mode == "Block":
        container["volumeDevices"] = [{"name": name, "devicePath": device_in_attachment(name)}]
    else:
        container["volumeMounts"] = [{"name": name, "mountPath": folder_in_attachment(name)}]
    pod: dict[str, Any] = {
        "metadata": {
            "name": attachment_pod_name(launcher, volume),
            "labels": {"kubevirt.io": ATTACHMENT_APP, VOLUME_LABEL: name},
            "annotations": {"kubevirt.io/domain": vmi.metadata.name},
            "ownerReferences": [owner_reference(PODS, launcher)],
        },
        "spec": {
            "containers": [container],
            "volumes": [{"name": name, "persistentVolumeClaim": {"claimName": claim_of(volume)}}],
            "affinity": {"nodeAffinity": _only_node(launcher.spec.node_name or "")},
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"fsGroup": QEMU_UID, "fsGroupChangePolicy": "OnRootMismatch"},
        },
    }
    if launcher.spec.tolerations:
        pod["spec"]["tolerations"] = msgspec.to_builtins(launcher.spec.tolerations)
    if launcher.spec.image_pull_secrets:
        pod["spec"]["imagePullSecrets"] = msgspec.to_builtins(launcher.spec.image_pull_secrets)
    return pod


def _only_node(node: str) -> dict[str, Any]:
    """Through the scheduler, and not past it: a claim that waits for its first consumer is bound by it."""
    field = {"key": NODE_NAME_FIELD, "operator": "In", "values": [node]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [field]}]}}
