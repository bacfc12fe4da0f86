"""Names that must stay the same: labels of what runs, and the kubelet's directory layout. Pure.

Source: the labels that kubelets put on CRI objects, and the layout below a kubelet's root directory, which virt-handler
and other node agents rely on.
"""

from dataclasses import dataclass
from pathlib import Path

from kobune.api.core import Pod

__all__ = [
    "BACKOFF_ANNOTATION",
    "GRACE_ANNOTATION",
    "MESSAGE_FILE_ANNOTATION",
    "MESSAGE_PATH_ANNOTATION",
    "MESSAGE_POLICY_ANNOTATION",
    "POD_NAME",
    "POD_NAMESPACE",
    "POD_UID",
    "KubeletPaths",
    "container_labels",
    "sandbox_labels",
]

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
GRACE_ANNOTATION = "io.kubernetes.pod.terminationGracePeriod"
MESSAGE_PATH_ANNOTATION = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY_ANNOTATION = "io.kubernetes.container.terminationMessagePolicy"
MESSAGE_FILE_ANNOTATION = "kobune.io/termination-message-file"
BACKOFF_ANNOTATION = "kobune.io/restart-backoff-seconds"
"""The wait between this container's end and the next start: kept with it, so that a restarted kubelet knows it."""


def sandbox_labels(pod: Pod) -> dict[str, str]:
    """The pod's labels and its identity."""
    identity = {POD_NAME: pod.metadata.name, POD_NAMESPACE: pod.metadata.namespace, POD_UID: pod.metadata.uid}
    return dict(pod.metadata.labels) | identity


def container_labels(pod: Pod, container: str) -> dict[str, str]:
    """Whose container it is."""
    return {
        POD_NAME: pod.metadata.name,
        POD_NAMESPACE: pod.metadata.namespace,
        POD_UID: pod.metadata.uid,
        CONTAINER_NAME: container,
    }


@dataclass(frozen=True, slots=True)
class KubeletPaths:
    """Directories below the kubelet's root, and of the pods' logs."""

    root: Path
    pod_logs: Path

    @property
    def pods(self) -> Path:
        """One directory per pod uid."""
        return self.root / "pods"

    @property
    def device_plugins(self) -> Path:
        """Sockets of the kubelet and of device plugins."""
        return self.root / "device-plugins"

    @property
    def networks(self) -> Path:
        """Records of the further networks of pods."""
        return self.root / "networks"

    def pod(self, uid: str) -> Path:
        """Everything of one pod."""
        return self.pods / uid

    def volume(self, uid: str, plugin: str, name: str) -> Path:
        """One volume; `plugin` is a name such as `empty-dir` or `configmap`."""
        return self.pod(uid) / "volumes" / f"kubernetes.io~{plugin}" / name

    def container(self, uid: str, name: str) -> Path:
        """Termination messages of one container."""
        return self.pod(uid) / "containers" / name

    def hosts_file(self, uid: str) -> Path:
        """The pod's /etc/hosts."""
        return self.pod(uid) / "etc-hosts"

    def logs(self, namespace: str, name: str, uid: str) -> Path:
        """The pod's logs, one directory per container."""
        return self.pod_logs / f"{namespace}_{name}_{uid}"
