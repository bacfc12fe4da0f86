"""Reading what every object has, whether it is a typed Struct or a decoded dict.

Owns: access to metadata. Must not: know any kind.
"""

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from kobune.api.meta import ObjectMeta, OwnerReference
from kobune.kube.client.resource import Key, Resource

__all__ = [
    "controller_of",
    "key_of",
    "metadata_of",
    "owner_reference",
    "resource_version_of",
    "revision",
    "to_builtins",
    "uid_of",
]


def metadata_of(obj: object) -> ObjectMeta:
    """The object's metadata; an object without any gives empty metadata."""
    if isinstance(obj, dict):
        return msgspec.convert(obj.get("metadata") or {}, ObjectMeta)
    return cast(ObjectMeta, obj.metadata)  # type: ignore[attr-defined]


def key_of(obj: object) -> Key:
    """The object's namespace and name."""
    if isinstance(obj, dict):
        metadata = obj.get("metadata") or {}
        return Key(metadata.get("namespace", ""), metadata.get("name", ""))
    metadata = metadata_of(obj)
    return Key(metadata.namespace, metadata.name)


def uid_of(obj: object) -> str:
    """The object's uid, empty before it is stored."""
    if isinstance(obj, dict):
        return cast(str, (obj.get("metadata") or {}).get("uid", ""))
    return metadata_of(obj).uid


def resource_version_of(obj: object) -> str:
    """The object's resourceVersion, empty before it is stored."""
    if isinstance(obj, dict):
        return cast(str, (obj.get("metadata") or {}).get("resourceVersion", ""))
    return metadata_of(obj).resource_version


def revision(resource_version: str) -> int | None:
    """A resourceVersion as an ordered number, or None where a server uses another form.

    Every known server (etcd, kine, ours) counts; ordering is used only to notice that a cache is behind our own
    writes, where being wrong costs a wait with a limit and nothing else.
    """
    return int(resource_version) if resource_version.isascii() and resource_version.isdigit() else None


def controller_of(obj: object) -> OwnerReference | None:
    """The owner reference marked as controller, if any."""
    references: Iterable[OwnerReference] = metadata_of(obj).owner_references
    return next((reference for reference in references if reference.controller), None)


def owner_reference(resource: Resource[Any], obj: object, *, block_deletion: bool = True) -> dict[str, Any]:
    """The controller reference to put into a child's `metadata.ownerReferences`."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": key_of(obj).name,
        "uid": uid_of(obj),
        "controller": True,
        "blockOwnerDeletion": block_deletion,
    }


def to_builtins(obj: object) -> dict[str, Any]:
    """The object as decoded JSON; a dict is returned as it is."""
    if isinstance(obj, dict):
        return obj
    return cast(dict[str, Any], msgspec.to_builtins(obj))
