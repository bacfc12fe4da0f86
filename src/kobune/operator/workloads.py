"""The components as workloads of a real cluster: two Deployments and a DaemonSet.

Not used where somebody else runs the components as processes.
"""

from dataclasses import dataclass
from typing import Any, Final

from kobune.operator.names import PART_OF, service_account

__all__ = ["WorkloadImages", "workload_manifests"]

Manifest = dict[str, Any]
COMPONENT_LABEL: Final = "kobune.io/component"
NONROOT_UID: Final = 1001


@dataclass(frozen=True, slots=True)
class WorkloadImages:
    """References of the images: the components share one, launchers have their own."""

    component: str
    launcher: str


def workload_manifests(namespace: str, images: WorkloadImages) -> list[Manifest]:
    """virt-api and virt-controller twice each, virt-handler on every Linux node."""
    return [
        _deployment("virt-api", namespace, images.component, ("--listen-host=0.0.0.0", "--virt-api-port=8443")),
        _deployment("virt-controller", namespace, images.component, (f"--launcher-image={images.launcher}",)),
        _handler(namespace, images.component),
    ]


def _deployment(component: str, namespace: str, image: str, arguments: tuple[str, ...]) -> Manifest:
    pod = _pod(component, image, arguments)
    pod["spec"]["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": NONROOT_UID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(component, namespace),
        "spec": {"replicas": 2, "selector": {"matchLabels": {COMPONENT_LABEL: component}}, "template": pod},
    }


def _handler(namespace: str, image: str) -> Manifest:
    arguments = (
        "--node-name=$(NODE_NAME)",
        "--listen-host=$(POD_IP)",
        "--virt-handler-port=8186",
        "--kubelet-root=/var/lib/kubelet",
    )
    pod = _pod("virt-handler", image, arguments)
    spec = pod["spec"]
    # It enters network namespaces and devices of launcher pods: privileged, and in the host's pid namespace.
    spec["hostPID"] = True
    container = spec["containers"][0]
    container["securityContext"] = {"privileged": True}
    container["env"] = [
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    container["volumeMounts"] = [
        {"name": "kubelet", "mountPath": "/var/lib/kubelet", "mountPropagation": "Bidirectional"},
        {"name": "state", "mountPath": "/var/lib/kobune"},
    ]
    spec["volumes"] = [
        {"name": "kubelet", "hostPath": {"path": "/var/lib/kubelet", "type": "Directory"}},
        {"name": "state", "hostPath": {"path": "/var/lib/kobune", "type": "DirectoryOrCreate"}},
    ]
    spec["nodeSelector"] = {"kubernetes.io/os": "linux"}
    spec["tolerations"] = [{"operator": "Exists"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _metadata("virt-handler", namespace),
        "spec": {
            "selector": {"matchLabels": {COMPONENT_LABEL: "virt-handler"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": pod,
        },
    }


def _pod(component: str, image: str, arguments: tuple[str, ...]) -> Manifest:
    return {
        "metadata": {"labels": {COMPONENT_LABEL: component, **PART_OF}},
        "spec": {
            "serviceAccountName": service_account(component),
            "containers": [
                {
                    "name": component,
                    "image": image,
                    "command": ["kobune", "component", component, "--data-dir=/var/lib/kobune"],
                    "args": list(arguments),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                }
            ],
        },
    }


def _metadata(component: str, namespace: str) -> Manifest:
    return {
        "name": f"kobune-{component}",
        "namespace": namespace,
        "labels": {COMPONENT_LABEL: component, **PART_OF},
    }
