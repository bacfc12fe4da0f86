"""Jobs: a selector that nothing else's pods match, and its labels in the template, unless the user chose one.

Source: the Kubernetes documentation of Jobs (specifying your own pod selector).
"""

from typing import Any

from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.strategy.base import Strategy

__all__ = ["JobStrategy"]

_UID, _NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
_OLD_UID, _OLD_NAME = "controller-uid", "job-name"


class JobStrategy(Strategy):
    """The strategy of Jobs."""

    generation = True

    def default_propagation(self, info: ResourceInfo) -> str:
        """What a deletion that says nothing does with the pods."""
        return "Background"

    def prepare_create(self, info: ResourceInfo, obj: dict[str, Any]) -> None:
        """A new job selects by its own uid."""
        super().prepare_create(info, obj)
        spec, metadata = obj.setdefault("spec", {}), obj["metadata"]
        if spec.get("manualSelector"):
            return
        template = spec.setdefault("template", {})
        if not template.get("metadata"):
            template["metadata"] = {}
        given = template["metadata"].get("labels") or {}
        name, uid = metadata.get("name", ""), metadata["uid"]
        template["metadata"]["labels"] = labels = {_OLD_NAME: name, _NAME: name, _OLD_UID: uid, _UID: uid, **given}
        selector = spec["selector"] = spec.get("selector") or {}
        selector["matchLabels"] = {_UID: uid, **(selector.get("matchLabels") or {})}
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)
