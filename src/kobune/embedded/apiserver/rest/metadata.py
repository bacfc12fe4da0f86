"""System metadata: uid, creation time, generated names, and the fields no client may change."""

import random
import uuid
from typing import Any

from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.status import bad_request
from kobune.embedded.apiserver.timestamps import now

__all__ = ["check_namespace", "generate_name", "prepare_new", "prepare_update"]

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def generate_name(prefix: str) -> str:
    """A name for `generateName`: the prefix (at most 58 characters) and five random ones."""
    return prefix[:58] + "".join(random.choices(_ALPHABET, k=5))  # noqa: S311 - a name, no secret


def prepare_new(obj: dict[str, Any], namespace: str) -> None:
    """Metadata of an object that is being created."""
    metadata = obj["metadata"]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "resourceVersion"):
        metadata.pop(name, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now()
    if namespace:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)


def prepare_update(obj: dict[str, Any], old: dict[str, Any]) -> None:
    """Put back what an update can't change."""
    metadata, stored = obj["metadata"], old["metadata"]
    for name in (
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "uid",
        "namespace",
        "generation",
    ):
        if name in stored:
            metadata[name] = stored[name]
        else:
            metadata.pop(name, None)
    metadata.pop("selfLink", None)
    if not metadata.get("generateName") and stored.get("generateName"):
        metadata["generateName"] = stored["generateName"]


def check_namespace(obj: dict[str, Any], info: ResourceInfo, namespace: str) -> None:
    """The body's namespace must be the URL's. Raises StatusError 400."""
    own = obj["metadata"].get("namespace") or ""
    if not info.namespaced:
        if own:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        return
    if own and own != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    obj["metadata"]["namespace"] = namespace
