"""From response bytes to typed objects. Pure.

Owns: the decoders, made once per type. A member that is null counts as absent, as for Kubernetes' own types (servers
send null for empty lists now and then); the types need not know. One object that does not fit its type must not hide
all others of its kind: in lists and watches it is logged and left out.
"""

import logging
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

import msgspec

from kobune.api.meta import ListMeta
from kobune.kube.client.errors import UnexpectedStatus
from kobune.kube.client.resource import Resource
from kobune.kube.client.status import error_from_status
from kobune.kube.client.types import ListResult, WatchEvent, WatchEventType

__all__ = ["decode_list", "decode_object", "decode_watch_line"]

T = TypeVar("T")

log = logging.getLogger(__name__)


class _List(msgspec.Struct, Generic[T], frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[T] | None = None


class _RawList(msgspec.Struct, frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] | None = None


class _RawEvent(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Meta(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Named(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()


_raw_list: msgspec.json.Decoder[_RawList] = msgspec.json.Decoder(_RawList)
_raw_event: msgspec.json.Decoder[_RawEvent] = msgspec.json.Decoder(_RawEvent)
_named: msgspec.json.Decoder[_Named] = msgspec.json.Decoder(_Named)
_status: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@lru_cache(maxsize=256)
def _list_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_List[kind])


def _type(resource: Resource[Any]) -> Any:
    return resource.type


def _decode(resource: Resource[T], raw: bytes | msgspec.Raw) -> T:
    """Raises msgspec.DecodeError."""
    kind = _type(resource)
    try:
        return cast(T, _decoder(kind).decode(raw))
    except msgspec.ValidationError:
        # Rare, so that the common case pays nothing: a null where the type has a list or a map.
        return cast(T, msgspec.convert(_without_nulls(msgspec.json.decode(raw)), kind))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def decode_object(resource: Resource[T], body: bytes | msgspec.Raw) -> T:
    """One object. Raises UnexpectedStatus when the bytes do not fit the type."""
    try:
        return _decode(resource, body)
    except msgspec.DecodeError as error:
        raise UnexpectedStatus(0, "Undecodable", f"a {resource.kind} does not fit its type: {error}") from error


def decode_list(resource: Resource[T], body: bytes) -> ListResult[T]:
    """One page of objects."""
    try:
        page = _list_decoder(_type(resource)).decode(body)
        return ListResult(page.items or [], page.metadata.resource_version, page.metadata.continue_)
    except msgspec.DecodeError as error:
        log.debug("decoding %s one by one: %s", resource.plural, error)
    try:
        raw = _raw_list.decode(body)
    except msgspec.DecodeError as error:
        raise UnexpectedStatus(0, "Undecodable", f"a list of {resource.plural} is no list: {error}") from error
    items = [item for item in (_decode_or_log(resource, one) for one in raw.items or []) if item is not None]
    return ListResult(items, raw.metadata.resource_version, raw.metadata.continue_)


def decode_watch_line(resource: Resource[T], line: bytes | bytearray) -> WatchEvent[T] | None:
    """One event; None for an object that does not fit its type.

    Raises the ApiError that an ERROR event carries.
    """
    try:
        event = _raw_event.decode(line)
    except msgspec.DecodeError as error:
        raise UnexpectedStatus(0, "Undecodable", f"watch of {resource.plural}: no event: {error}") from error
    if event.type == "ERROR":
        raise error_from_status(_status.decode(event.object))
    try:
        kind = WatchEventType(event.type)
        resource_version = _named.decode(event.object).metadata.resource_version
    except (ValueError, msgspec.DecodeError) as error:
        raise UnexpectedStatus(0, "Undecodable", f"watch of {resource.plural}: {error}") from error
    if kind is WatchEventType.BOOKMARK:
        return WatchEvent(kind, None, resource_version)
    obj = _decode_or_log(resource, event.object)
    return None if obj is None else WatchEvent(kind, obj, resource_version)


def _decode_or_log(resource: Resource[T], raw: msgspec.Raw) -> T | None:
    try:
        return _decode(resource, raw)
    except msgspec.DecodeError as error:
        metadata = _named.decode(raw).metadata
        log.error("%s %s/%s is ignored: %s", resource.kind, metadata.namespace, metadata.name, error)
        return None
