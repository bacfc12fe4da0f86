"""get and list: stored bytes out of the watch cache, with pages and revision semantics."""

import base64
import binascii
from collections.abc import Callable

import msgspec

from kobune.embedded.apiserver.http.message import Response
from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.rest import respond
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.negotiation import negotiate
from kobune.embedded.apiserver.rest.options import ListOptions, list_options
from kobune.embedded.apiserver.status import StatusError, bad_request, expired, not_found
from kobune.embedded.store import Compacted

__all__ = ["get", "list_objects", "select"]


async def get(call: Call) -> Response:
    """One object. Raises StatusError 404, 406."""
    negotiate(call.request.headers.get("accept", ""))
    version = call.request.option("resourceVersion") if call.request.raw_query else ""
    if version and version != "0":
        if not version.isdigit():
            raise bad_request(
                f'invalid resource version "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
            )
        check_not_too_new(call, int(version))
    found = call.resource.collection.get(call.info.namespace if call.resource.info.namespaced else "", call.info.name)
    if found is None:
        raise not_found(call.info.group, call.info.resource, call.info.name)
    return await respond.item(call, 200, found)


async def list_objects(call: Call) -> Response:
    """The objects of a collection or a page of them."""
    negotiate(call.request.headers.get("accept", ""), streams=True)
    options = list_options(call.request, call.resource.info, watch=False)
    found, metadata = select(call, options)
    return await respond.items(call, found, metadata)


def check_not_too_new(call: Call, revision: int) -> None:
    """Refuse a revision from the future. Raises StatusError 504."""
    current = call.services.storage.revision
    if revision > current:
        raise StatusError(
            504,
            "Timeout",
            f"Timeout: Too large resource version: {revision}, current: {current}",
            {
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            },
            {"Retry-After": "1"},
        )


def select(call: Call, options: ListOptions) -> tuple[list[Item], dict[str, object]]:
    """(objects, list metadata) for the options of a list."""
    collection = call.resource.collection
    namespace = call.info.namespace
    revision = call.services.storage.revision
    after: tuple[str, str] | None = None
    exact = 0
    if options.continue_token:
        exact, after = _decode_continue(options.continue_token)
        if exact == -1:
            exact = 0
    elif options.resource_version:
        check_not_too_new(call, options.resource_version)
        if options.match == "Exact":
            exact = options.resource_version
    # One more than asked for tells whether there is more.
    limit = options.limit + 1 if options.limit > 0 else 0
    matches = _matcher(options)
    if exact and exact != revision and collection.revision > exact:
        found = _at(call, exact, namespace, after, continuing=bool(options.continue_token))
        total = len(found)
        if matches is not None:
            found = [item for item in found if matches(item)]
    else:
        name = options.fields.name
        if name is not None and namespace:
            one = collection.get(namespace, name)
            found = [one] if one is not None and (after is None or (namespace, name) > after) else []
            if matches is not None:
                found = [item for item in found if matches(item)]
        elif matches is not None:
            found = collection.matching(namespace, after, limit, matches)
        else:
            found = list(collection.select(namespace, after, limit))
        total = collection.count(namespace, after) if limit else 0
    if exact:
        revision = exact
    metadata: dict[str, object] = {"resourceVersion": str(revision)}
    if 0 < options.limit < len(found):
        if not options.labels and not options.fields:
            metadata["remainingItemCount"] = total - options.limit
        found = found[: options.limit]
        last = found[-1]
        metadata["continue"] = _encode_continue(revision, last.namespace, last.name)
    return found, metadata


def _matcher(options: ListOptions) -> Callable[[Item], bool] | None:
    labels, fields = options.labels, options.fields
    if labels and fields:
        return lambda item: labels.matches(item.labels) and fields.matches(item.field)
    if labels:
        return lambda item: labels.matches(item.labels)
    return (lambda item: fields.matches(item.field)) if fields else None


def _at(call: Call, revision: int, namespace: str, after: tuple[str, str] | None, *, continuing: bool) -> list[Item]:
    try:
        found = call.resource.collection.at(revision, namespace)
    except Compacted:
        if continuing:
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new"
                " list without the continue parameter, or use the continue token in this response to retrieve the"
                " remainder of the results. Continuing with the provided token results in an inconsistent list -"
                " objects that were created, modified, or deleted between the time the first chunk was returned and"
                " now may show up in the list."
            ) from None
        raise expired("The resourceVersion for the provided list is too old.") from None
    if after is not None:
        found = [item for item in found if (item.namespace, item.name) > after]
    return found


def _encode_continue(revision: int, namespace: str, name: str) -> str:
    start = f"{namespace}/{name}\0"
    token = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _decode_continue(token: str) -> tuple[int, tuple[str, str]]:
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise bad_request(f"continue key is not valid: illegal base64 data at input byte {len(token)}") from None
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        first = data[:1].decode("latin-1")
        shown = f"'{first}'" if first.isprintable() and first else "'\\x%02x'" % (data[0] if data else 0)
        detail = f"invalid character {shown} looking for beginning of value"
        raise bad_request(f"invalid continue token: continue key is not valid: {detail}") from None
    if not isinstance(value, dict) or value.get("v") != "meta.k8s.io/v1":
        raise bad_request(
            "invalid continue token: continue key is not valid: server does not recognize this encoded version"
        )
    revision, start = value.get("rv"), value.get("start")
    if not isinstance(revision, int) or not isinstance(start, str) or revision == 0 or "/" not in start:
        raise bad_request("invalid continue token: continue key is not valid: incorrect encoded start resourceVersion")
    namespace, _, name = start.rstrip("\0").partition("/")
    return revision, (namespace, name)
