"""Which stored documents a request means, and the form in which it gets them. Pure."""

import copy
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import msgspec

from kobune.kube.client.errors import Invalid
from kobune.kube.client.resource import Resource
from kobune.kube.client.selectors import SelectorError, parse_fields, parse_labels
from kobune.kube.testing.store import Collection

__all__ = ["Selects", "collection_of", "decode", "selector"]

T = TypeVar("T")

Selects: TypeAlias = Callable[[dict[str, Any]], bool]
"""Whether a document is meant."""


def collection_of(resource: Resource[Any]) -> Collection:
    """Where the store has the objects of a resource."""
    return (resource.group, resource.plural)


def selector(namespace: str, labels: str, fields: str) -> Selects:
    """The documents in a namespace (empty: in all) with those labels and fields. Raises Invalid."""
    try:
        label_match, field_match = parse_labels(labels), parse_fields(fields)
    except SelectorError as error:
        raise Invalid(400, "BadRequest", str(error)) from error

    def selects(document: dict[str, Any]) -> bool:
        metadata = document["metadata"]
        if namespace and metadata.get("namespace") != namespace:
            return False
        return label_match(metadata.get("labels") or {}) and field_match(document)

    return selects


def decode(resource: Resource[T], document: dict[str, Any]) -> T:
    """A copy of a document as the resource's type."""
    if cast(Any, resource.type) is dict:
        return cast(T, copy.deepcopy(document))
    return msgspec.convert(document, resource.type)
