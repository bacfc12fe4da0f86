"""Small built-in steps: finalizers that protect storage in use, the default StorageClass, taints of new nodes."""

from typing import Any

from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call

__all__ = ["NewNodes", "StorageDefaults"]

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NOT_READY = "node.kubernetes.io/not-ready"


class _Step:
    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Nothing beyond `mutate`."""


class StorageDefaults(_Step):
    """Claims and volumes are protected from deletion while in use; claims get the default class."""

    def __init__(self, storage: Storage) -> None:
        self._classes = storage.collection("storage.k8s.io/storageclasses")

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """See Step."""
        info = call.resource.info
        if obj is None or operation != "CREATE" or info.group or call.info.subresource:
            return
        finalizer = {
            "persistentvolumeclaims": "kubernetes.io/pvc-protection",
            "persistentvolumes": "kubernetes.io/pv-protection",
        }.get(info.plural)
        if finalizer is None:
            return
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            finalizers.append(finalizer)
        if info.plural == "persistentvolumeclaims" and obj.get("spec", {}).get("storageClassName") is None:
            default = self._default_class()
            if default:
                obj["spec"]["storageClassName"] = default

    def _default_class(self) -> str:
        candidates = []
        for item in self._classes.select():
            metadata = item.object()["metadata"]
            if (metadata.get("annotations") or {}).get(_DEFAULT_CLASS) == "true":
                candidates.append((metadata["creationTimestamp"], metadata["name"]))
        if not candidates:
            return ""
        newest = max(created for created, _ in candidates)
        return min(str(name) for created, name in candidates if created == newest)


class NewNodes(_Step):
    """A new node is not ready until its kubelet or the node controller says so."""

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """See Step."""
        info = call.resource.info
        if obj is None or operation != "CREATE" or info.group or info.plural != "nodes" or call.info.subresource:
            return
        taints = obj.setdefault("spec", {}).setdefault("taints", [])
        if not any(taint.get("key") == _NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
            taints.append({"key": _NOT_READY, "effect": "NoSchedule"})
