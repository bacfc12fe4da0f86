"""The pod that tells virt-handler what guests can have on its node: the launcher image, without a guest. Pure."""

import hashlib
from typing import Any, Final

from kobune.api.core import Node
from kobune.kube.client.core import NODES
from kobune.kube.client.objects import owner_reference

__all__ = ["CPU_FACTS", "facts_key", "facts_pod", "facts_pod_name"]

CPU_FACTS: Final = "kobune.io/cpu-facts"
"""Label and annotation of the pod, and virt-handler's annotation of the Node: for which image the question is or was
answered."""
QEMU_UID: Final = 107
KVM: Final = "devices.kubevirt.io/kvm"
VOLUME: Final = "facts"
MOUNT: Final = "/var/run/kobune-facts"
PROGRAM: Final = ("python3", "-sPm", "kobune.virt.launcher.cpufacts")
LIFETIME_S: Final = 180
_NAME_LIMIT: Final = 240


def facts_key(launcher_image: str, *, kvm: bool) -> str:
    """What the answer depends on; a new one is asked for when this changes."""
    return f"{launcher_image} {'kvm' if kvm else 'tcg'}"


def facts_pod_name(node: str) -> str:
    """The same for the same node."""
    name = f"kobune-cpu-facts-{node}"
    if len(name) <= _NAME_LIMIT:
        return name
    return f"{name[:_NAME_LIMIT].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def facts_pod(node: Node, namespace: str, launcher_image: str, pull_policy: str, *, kvm: bool) -> dict[str, Any]:
    """As unprivileged as a launcher, and without any network, token or volume of others."""
    resources: dict[str, Any] = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
    if kvm:
        resources["limits"][KVM] = "1"
    return {
        "metadata": {
            "name": facts_pod_name(node.metadata.name),
            "namespace": namespace,
            "labels": {CPU_FACTS: ""},
            "annotations": {CPU_FACTS: facts_key(launcher_image, kvm=kvm)},
            "ownerReferences": [owner_reference(NODES, node)],
        },
        "spec": {
            "nodeName": node.metadata.name,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME_S,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "tolerations": [{"operator": "Exists"}],
            "securityContext": {
                "runAsUser": QEMU_UID,
                "runAsGroup": QEMU_UID,
                "runAsNonRoot": True,
                "fsGroup": QEMU_UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "cpu-facts",
                    "image": launcher_image,
                    "imagePullPolicy": pull_policy,
                    "command": [*PROGRAM, MOUNT],
                    "env": [{"name": "HOME", "value": MOUNT}, {"name": "TMPDIR", "value": MOUNT}],
                    "resources": resources,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": VOLUME, "mountPath": MOUNT}],
                }
            ],
            "volumes": [{"name": VOLUME, "emptyDir": {"sizeLimit": "64Mi"}}],
        },
    }
