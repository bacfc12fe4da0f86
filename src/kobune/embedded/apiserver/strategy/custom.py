"""Custom resources: status is separate only when the definition says so; generation always counts."""

from typing import Any

from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.strategy.base import Strategy

__all__ = ["CustomStrategy"]


class CustomStrategy(Strategy):
    """The strategy of every custom resource."""

    generation = True
    unconditional_update = False

    def count_generation(self, obj: dict[str, Any], old: dict[str, Any]) -> None:
        """Everything but metadata is desired state (status was put back already where it is a subresource)."""
        generation = old["metadata"].get("generation", 0)
        ignored = ("metadata", "apiVersion", "kind")
        names = (set(obj) | set(old)).difference(ignored)
        if any(obj.get(name) != old.get(name) for name in names):
            generation += 1
        obj["metadata"]["generation"] = generation

    def prepare_update(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any], subresource: str) -> None:
        """See Strategy; on /status even metadata stays."""
        super().prepare_update(info, obj, old, subresource)

    def prepare_status(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any]) -> None:
        """Only status may change; metadata stays but for managedFields and resourceVersion."""
        super().prepare_status(info, obj, old)
        metadata = dict(old["metadata"])
        if "managedFields" in obj["metadata"]:
            metadata["managedFields"] = obj["metadata"]["managedFields"]
        obj["metadata"] = metadata
