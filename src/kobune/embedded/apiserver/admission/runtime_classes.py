"""Pods with a RuntimeClass: it must exist, and gives them its overhead and where they may run.

Source: the visible effects of Kubernetes' RuntimeClass admission plugin.
"""

from typing import Any

from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import StatusError, forbidden

__all__ = ["RuntimeClasses"]


class RuntimeClasses:
    """Admission step."""

    def __init__(self, storage: Storage) -> None:
        self._classes = storage.collection("node.k8s.io/runtimeclasses")

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Fill in what the class says. Raises StatusError 403."""
        if obj is None or not _is_new_pod(call, operation):
            return
        spec = obj["spec"]
        found = self._class_of(call, obj)
        if found is None:
            return
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") not in (None, overhead):
                raise _rejected(call, obj, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = dict(overhead)
        scheduling = found.get("scheduling") or {}
        selector = spec.get("nodeSelector") or {}
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                text = (
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] ="
                    f" {selector[key]}"
                )
                raise forbidden("", "pods", obj["metadata"].get("name", ""), text)
            spec["nodeSelector"] = selector = {**selector, key: value}
        more = [t for t in scheduling.get("tolerations") or () if t not in (spec.get("tolerations") or ())]
        if more:
            spec["tolerations"] = [*(spec.get("tolerations") or ()), *more]

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Overhead is the class's alone. Raises StatusError 403."""
        if obj is None or not _is_new_pod(call, operation) or obj["spec"].get("overhead") is None:
            return
        found = self._class_of(call, obj)
        if found is None or not (found.get("overhead") or {}).get("podFixed"):
            text = "Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise _rejected(call, obj, text)

    def _class_of(self, call: Call, pod: dict[str, Any]) -> dict[str, Any] | None:
        name = pod["spec"].get("runtimeClassName")
        if not name:
            return None
        item = self._classes.get("", name)
        if item is None:
            raise _rejected(call, pod, f'RuntimeClass "{name}" not found')
        return item.object()


def _is_new_pod(call: Call, operation: str) -> bool:
    info = call.resource.info
    return operation == "CREATE" and info.plural == "pods" and not info.group and not call.info.subresource


def _rejected(call: Call, pod: dict[str, Any], text: str) -> StatusError:
    return forbidden("", "pods", pod["metadata"].get("name", ""), f"pod rejected: {text}")
