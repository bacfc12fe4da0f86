"""ControllerRevisions: snapshots of specifications that objects were made from."""

from typing import Any, Final

from kobune.kube.client.resource import Resource

__all__ = ["CONTROLLER_REVISIONS"]

CONTROLLER_REVISIONS: Final[Resource[dict[str, Any]]] = Resource(
    "apps", "v1", "controllerrevisions", "ControllerRevision", True, dict
)
