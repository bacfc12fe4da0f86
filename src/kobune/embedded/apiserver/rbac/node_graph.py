"""Which objects a node needs: those that pods bound to it name. An index of pods by node, and what a pod refers to.

Owns: the index. Must not decide anything: that is `node.py`.
Source: the graph of Kubernetes' node authorizer (pods to Secrets, ConfigMaps, claims, ServiceAccounts; claims to
volumes through the volume's claimRef, never through what the claim's author wrote; volumes to their Secrets).
"""

from collections.abc import Iterator
from typing import Any

from kobune.embedded.apiserver.registry.collection import Change, Item
from kobune.embedded.apiserver.registry.storage import Storage

__all__ = ["MIRROR_ANNOTATION", "NodeGraph", "Reference", "pod_references", "volume_secrets"]

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

Reference = tuple[str, str]
"""(resource, name) in the pod's namespace."""

_CSI_SECRETS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodeStageSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)


def pod_references(pod: dict[str, Any]) -> frozenset[Reference]:
    """Everything of its namespace that a pod names: secrets, configmaps, persistentvolumeclaims, serviceaccounts.

    A mirror pod gives no right to anything: nodes make them themselves.
    """
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    if MIRROR_ANNOTATION in (metadata.get("annotations") or {}):
        return frozenset()
    return frozenset((resource, name) for resource, name in _references(metadata.get("name", ""), spec) if name)


def _references(pod_name: str, spec: dict[str, Any]) -> Iterator[Reference]:
    yield "serviceaccounts", spec.get("serviceAccountName") or ""
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            for source in container.get("envFrom") or ():
                yield "secrets", (source.get("secretRef") or {}).get("name", "")
                yield "configmaps", (source.get("configMapRef") or {}).get("name", "")
            for variable in container.get("env") or ():
                source = variable.get("valueFrom") or {}
                yield "secrets", (source.get("secretKeyRef") or {}).get("name", "")
                yield "configmaps", (source.get("configMapKeyRef") or {}).get("name", "")
    for volume in spec.get("volumes") or ():
        yield from _volume_references(pod_name, volume)


def _volume_references(pod_name: str, volume: dict[str, Any]) -> Iterator[Reference]:
    yield "secrets", (volume.get("secret") or {}).get("secretName", "")
    yield "configmaps", (volume.get("configMap") or {}).get("name", "")
    yield "persistentvolumeclaims", (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
    if volume.get("ephemeral"):
        yield "persistentvolumeclaims", f"{pod_name}-{volume['name']}"
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield "secrets", (source.get("secret") or {}).get("name", "")
        yield "configmaps", (source.get("configMap") or {}).get("name", "")
    yield "secrets", ((volume.get("csi") or {}).get("nodePublishSecretRef") or {}).get("name", "")
    for kind in ("rbd", "cephfs", "iscsi", "flexVolume", "scaleIO", "storageos"):
        yield "secrets", ((volume.get(kind) or {}).get("secretRef") or {}).get("name", "")
    yield "secrets", (volume.get("azureFile") or {}).get("secretName", "")


def volume_secrets(volume: dict[str, Any]) -> frozenset[tuple[str, str]]:
    """(namespace, name) of the Secrets that a PersistentVolume names; none when it belongs to no claim."""
    spec = volume.get("spec") or {}
    home = (spec.get("claimRef") or {}).get("namespace", "")
    found = []
    csi = spec.get("csi") or {}
    references = [csi.get(name) or {} for name in _CSI_SECRETS]
    references += [
        (spec.get(kind) or {}).get("secretRef") or {} for kind in ("rbd", "cephfs", "iscsi", "flexVolume", "scaleIO")
    ]
    found = [(reference.get("namespace") or home, reference.get("name", "")) for reference in references]
    azure = spec.get("azureFile") or {}
    found.append((azure.get("secretNamespace") or home, azure.get("secretName", "")))
    return frozenset(pair for pair in found if all(pair))


class NodeGraph:
    """Follows pods and volumes as they change; what a pod refers to is read when it is first asked for."""

    def __init__(self, storage: Storage) -> None:
        self._pods: dict[str, dict[tuple[str, str], Item]] = {}
        self._references: dict[Item, frozenset[Reference]] = {}
        self._volumes = storage.collection("core/persistentvolumes")
        pods = storage.collection("core/pods")
        for item in pods.select():
            self._add(item)
        pods.listen(self._changed)

    def has_pod(self, node: str, namespace: str, name: str) -> bool:
        """Whether the pod exists and is bound to the node."""
        return (namespace, name) in self._pods.get(node, ())

    def reaches(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether a pod of the node needs the object, by itself or through a volume of its claims."""
        if resource == "persistentvolumes":
            volume = self._volumes.get("", name)
            claim = (volume.object().get("spec") or {}).get("claimRef") or {} if volume else {}
            return bool(claim) and self.reaches(
                node, "persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", "")
            )
        for key, item in self._pods.get(node, {}).items():
            if key[0] == namespace and (resource, name) in self._of(item):
                return True
        return resource == "secrets" and self._through_volumes(node, namespace, name)

    def _through_volumes(self, node: str, namespace: str, name: str) -> bool:
        for item in self._volumes.select():
            if name.encode() in item.body:
                volume = item.object()
                if (namespace, name) in volume_secrets(volume) and self.reaches(
                    node, "persistentvolumes", "", item.name
                ):
                    return True
        return False

    def _of(self, item: Item) -> frozenset[Reference]:
        found = self._references.get(item)
        if found is None:
            found = self._references[item] = pod_references(item.object())
        return found

    def _add(self, item: Item) -> None:
        node = item.field("spec.nodeName")
        if node:
            self._pods.setdefault(node, {})[(item.namespace, item.name)] = item

    def _changed(self, change: Change) -> None:
        if change.previous is not None:
            self._references.pop(change.previous, None)
            pods = self._pods.get(change.previous.field("spec.nodeName"))
            if pods is not None:
                pods.pop((change.item.namespace, change.item.name), None)
        if not change.deleted:
            self._add(change.item)
