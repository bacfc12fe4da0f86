"""Between the stored form of an object and the version that a request speaks.

Versions of a resource that differ in apiVersion alone share their stored bytes. Others have a codec: a pair of
functions for built-in kinds, a conversion webhook for custom ones.
"""

import copy
from typing import Any, Protocol

from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.registry.registry import Resource

__all__ = ["Codec", "codec_of", "convert", "from_storage", "many_from_storage", "same_bytes", "to_storage"]


class Codec(Protocol):
    """Converts whole objects, several at once."""

    since: int
    """Stored bytes up to this revision need decoding even in their own version."""

    async def decode(self, objects: list[dict[str, Any]], api_version: str) -> list[dict[str, Any]]:
        """Stored objects in another version."""
        ...

    async def encode(self, obj: dict[str, Any]) -> dict[str, Any]:
        """An object in the version it is stored in."""
        ...


def codec_of(resource: Resource) -> Codec | None:
    """The codec of a resource version, None when only apiVersion differs."""
    codec: Codec | None = resource.info.extra.get("codec")
    return codec


def same_bytes(resource: Resource, item: Item) -> bool:
    """Whether the stored bytes, under the version's own head, are the answer."""
    codec: Codec | None = resource.info.extra.get("codec")
    if codec is None:
        return True
    return item.revision > codec.since and item.type == f"{resource.info.group_version} {resource.info.kind}"


async def from_storage(resource: Resource, item: Item) -> dict[str, Any]:
    """The object in the version of `resource`, the caller's to change."""
    obj = item.object()
    if same_bytes(resource, item):
        obj["apiVersion"] = resource.info.group_version
        obj["kind"] = resource.info.kind
        return obj
    codec = codec_of(resource)
    assert codec is not None
    return (await codec.decode([obj], resource.info.group_version))[0]


async def many_from_storage(resource: Resource, items: list[Item]) -> list[dict[str, Any]]:
    """Several objects in the version of `resource`, with one call of the codec."""
    objects = [item.object() for item in items]
    pending = [index for index, item in enumerate(items) if not same_bytes(resource, item)]
    for obj in objects:
        if not pending:
            obj["apiVersion"] = resource.info.group_version
    if pending:
        codec = codec_of(resource)
        assert codec is not None
        converted = await codec.decode([objects[index] for index in pending], resource.info.group_version)
        for index, obj in zip(pending, converted, strict=True):
            objects[index] = obj
    return objects


async def to_storage(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """The object as it is stored."""
    codec = codec_of(resource)
    api_version, _, kind = resource.storage_type.partition(" ")
    if codec is not None and obj["apiVersion"] != api_version:
        return await codec.encode(obj)
    return {**obj, "apiVersion": api_version, "kind": kind}


async def convert(source: Resource, target: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """An object of one version in another version of the same resource; the input is not changed."""
    api_version = target.info.group_version
    codec = codec_of(source) or codec_of(target)
    if codec is not None and source.info.version != target.info.version:
        return (await codec.decode([copy.deepcopy(obj)], api_version))[0]
    return {**copy.deepcopy(obj), "apiVersion": api_version, "kind": target.info.kind}
