"""create, update and patch: decode, default, admit, prepare, validate, store.

Owns the order of these steps and the retry when another write came between. What differs per kind is in `strategy`.
"""

import asyncio
import contextlib
import copy
import time
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from kobune.embedded.apiserver.http.message import Response
from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.rest import metadata, respond
from kobune.embedded.apiserver.rest.body import read_object
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.convert import from_storage, to_storage
from kobune.embedded.apiserver.rest.identity import check_identity
from kobune.embedded.apiserver.rest.options import WriteOptions, write_options
from kobune.embedded.apiserver.rest.ownership import record
from kobune.embedded.apiserver.rest.validate import check_create, check_update, default, warnings
from kobune.embedded.apiserver.status import (
    StatusError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    modified,
    not_found,
)
from kobune.embedded.apiserver.strategy import strategy_for
from kobune.embedded.store import RevisionConflict

__all__ = ["Transform", "answer", "create", "update", "update_object"]

Transform = Callable[[dict[str, Any] | None], Awaitable[dict[str, Any]]]
"""From the stored object in the request's version (the transform's to change; None: there is none) to the new one."""

_RETRY_LIMIT_S = 20.0
"""How long a write that does not insist on a revision is repeated after others that came between."""
_NAME_RETRIES = 8


async def create(call: Call) -> Response:
    """POST to a collection."""
    options = write_options(call.request, kind="CreateOptions")
    call.dry_run = options.dry_run
    call.options = options_object("CreateOptions", call, options)
    obj = read_object(call, call.resource.info, options.field_validation)
    metadata.check_namespace(obj, call.resource.info, call.info.namespace)
    item_or_obj = await create_object(call, obj, options)
    if isinstance(item_or_obj, Item):
        return await respond.item(call, 201, item_or_obj)
    return await respond.obj(call, 201, item_or_obj)


async def create_object(call: Call, obj: dict[str, Any], options: WriteOptions) -> Item | dict[str, Any]:
    """Store a new object; a dry run gives what would be stored. Raises StatusError."""
    prefix = obj["metadata"].get("generateName") or ""
    generated = prefix if not obj["metadata"].get("name") else ""
    for attempt in range(_NAME_RETRIES):
        new = obj if not generated or attempt + 1 == _NAME_RETRIES else copy.deepcopy(obj)
        if new["metadata"].get("resourceVersion") and new["metadata"]["resourceVersion"] != "0":
            raise _version_on_create(call)
        try:
            return await _create_once(call, new, options, generated)
        except RevisionConflict as error:
            if not generated or attempt + 1 == _NAME_RETRIES:
                raise _exists(call, new) from error
    raise AssertionError("the loop returns or raises")


def _exists(call: Call, new: dict[str, Any]) -> StatusError:
    info, meta = call.resource.info, new["metadata"]
    error = already_exists(info.group, info.plural, meta["name"])
    found = call.resource.collection.get(meta.get("namespace") or "", meta["name"])
    if found is not None and found.object()["metadata"].get("deletionTimestamp"):
        message = f"object is being deleted: {error.message}"
        return StatusError(error.code, error.reason, message, error.details)
    return error


def _version_on_create(call: Call) -> Exception:
    return StatusError(500, "", "resourceVersion should not be set on objects to be created", None)


async def _create_once(call: Call, obj: dict[str, Any], options: WriteOptions, generated: str) -> Item | dict[str, Any]:
    info, strategy = call.resource.info, strategy_for(call.resource.info)
    if call.resource.terminating:
        detail = "create not allowed while custom resource definition is terminating"
        raise forbidden(info.group, info.plural, obj["metadata"].get("name", ""), detail)
    # Values that the client may not choose go first, so that admission sees what will be stored.
    default(info, obj)
    record(call, obj, None, options)
    await call.services.admission.mutate(call, "CREATE", obj, None)
    if call.changed:
        _conform_again(call, obj)
    if generated:
        obj["metadata"]["name"] = metadata.generate_name(generated)
    metadata.prepare_new(obj, call.info.namespace if info.namespaced else "")
    strategy.prepare_create(info, obj)
    allocation = call.services.parts["allocators"].create(call, obj)
    try:
        errors = await check_create(call, obj)
        if errors:
            raise invalid(info.group, info.kind, obj["metadata"].get("name", ""), errors)
        for text in warnings(info, obj, None):
            call.warn(text)
        await call.services.admission.validate(call, "CREATE", obj, None)
        namespace = obj["metadata"].get("namespace", "")
        key = (namespace, obj["metadata"]["name"])
        if call.resource.collection.items.get(key) is not None:
            raise RevisionConflict(0, 1)
        stored = await to_storage(call.resource, obj)
        if call.dry_run:
            allocation.undo()
            return obj
        return await call.services.storage.put(call.resource.collection, stored, 0)
    except BaseException:
        allocation.undo()
        raise


async def update(call: Call) -> Response:
    """PUT of an object or of its status."""
    info = call.resource.info
    options = write_options(call.request, kind="UpdateOptions")
    call.dry_run = options.dry_run
    call.options = options_object("UpdateOptions", call, options)
    body = read_object(call, info, options.field_validation)
    metadata.check_namespace(body, info, call.info.namespace)
    name = body["metadata"].get("name") or ""
    if not name:
        raise bad_request("name must be provided")
    if name != call.info.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.info.name})")
    snapshot = msgspec.json.encode(body)

    async def transform(old: dict[str, Any] | None) -> dict[str, Any]:
        fresh: dict[str, Any] = msgspec.json.decode(snapshot)
        return fresh

    result, created = await update_object(
        call, transform, options, "Update", force_create=strategy_for(info).create_on_update
    )
    return await answer(call, result, created)


async def answer(call: Call, result: Item | dict[str, Any], created: bool) -> Response:
    status = 201 if created else 200
    if isinstance(result, Item):
        return await respond.item(call, status, result)
    return await respond.obj(call, status, result)


async def update_object(
    call: Call,
    transform: Transform,
    options: WriteOptions,
    operation: str,
    *,
    force_create: bool = False,
) -> tuple[Item | dict[str, Any], bool]:
    """(what is stored now, whether it was created). `operation` is Update or Apply, for field ownership.

    Raises StatusError.
    """
    info, collection = call.resource.info, call.resource.collection
    namespace = call.info.namespace if info.namespaced else ""
    deadline_s = time.monotonic() + _RETRY_LIMIT_S
    lock: asyncio.Lock | None = None
    async with contextlib.AsyncExitStack() as turn:
        while True:
            try:
                return await _try_update(call, transform, options, operation, force_create)
            except RevisionConflict as error:
                if time.monotonic() > deadline_s:
                    raise modified(info.group, info.plural, call.info.name) from error
                # Whoever lost once waits for its turn, or many writers of one object would lose again and again.
                if lock is None:
                    lock = _turns.setdefault((id(collection), namespace, call.info.name), asyncio.Lock())
                    await turn.enter_async_context(lock)
                await call.services.storage.log.settle()


async def _try_update(
    call: Call, transform: Transform, options: WriteOptions, operation: str, force_create: bool
) -> tuple[Item | dict[str, Any], bool]:
    """One attempt of `update_object`. Raises RevisionConflict when another write came between."""
    info = call.resource.info
    found = call.resource.collection.get(call.info.namespace if info.namespaced else "", call.info.name)
    if found is not None:
        return await _update_once(call, found, transform, options, operation), False
    if not force_create:
        raise not_found(info.group, info.plural, call.info.name)
    _require_create(call)
    new = await transform(None)
    if new["metadata"].get("uid"):
        raise conflict(
            info.group,
            info.plural,
            call.info.name,
            f"Precondition failed: UID in precondition: {new['metadata']['uid']}, UID in object meta: ",
        )
    version = new["metadata"].pop("resourceVersion", None)
    if version and version != "0" and operation != "Apply":
        raise not_found(info.group, info.plural, call.info.name)
    try:
        return await create_object(call, new, options), True
    except StatusError as error:
        if error.reason == "AlreadyExists":
            raise RevisionConflict(0, 1) from error  # somebody made it just now: change theirs
        raise


def _require_create(call: Call) -> None:
    """An update or patch that makes its object needs the right to create it as well. Raises StatusError."""
    info, where = call.resource.info, call.info
    asked = Attributes(
        call.user, "create", info.group, where.version, where.namespace, info.plural, where.subresource, where.name
    )
    allowed, reason = call.services.authorizer.explain(asked)
    if not allowed:
        raise forbidden(info.group, info.plural, where.name, reason)


_turns: WeakValueDictionary[tuple[int, str, str], asyncio.Lock] = WeakValueDictionary()
"""Who repeats a write of an object, in order; kept while somebody does."""


async def _update_once(
    call: Call, found: Item, transform: Transform, options: WriteOptions, operation: str
) -> Item | dict[str, Any]:
    info, strategy = call.resource.info, strategy_for(call.resource.info)
    subresource = call.info.subresource
    old = await from_storage(call.resource, found)
    new = await transform(await from_storage(call.resource, found))
    default(info, new)
    given_uid, given_version = new["metadata"].get("uid"), new["metadata"].get("resourceVersion") or ""
    check_identity(call, new, old, found.revision)
    record(call, new, old, options)
    if not given_version:
        new["metadata"].pop("resourceVersion", None)
    await call.services.admission.mutate(call, "UPDATE", new, old)
    if call.changed:
        _conform_again(call, new)
    new["metadata"]["resourceVersion"] = str(found.revision)
    metadata.prepare_update(new, old)
    strategy.prepare_update(info, new, old, subresource)
    if given_uid and call.request.method == "PATCH":
        new["metadata"]["uid"] = given_uid
    allocation = call.services.parts["allocators"].update(call, new, old)
    try:
        errors = await check_update(call, new, old)
        if errors:
            raise invalid(info.group, info.kind, call.info.name, errors)
        if not subresource:
            for text in warnings(info, new, old):
                call.warn(text)
        await call.services.admission.validate(call, "UPDATE", new, old)
        if _same(new, old):
            allocation.undo()
            return found
        if call.dry_run:
            allocation.undo()
            return new
        stored = await to_storage(call.resource, new)
        if deletion_complete(new, info.plural, info.group):
            await call.services.storage.remove(call.resource.collection, found.object(), found.revision)
            call.services.parts["allocators"].release(call.resource, new)
            return new
        item = await call.services.storage.put(call.resource.collection, stored, found.revision)
    except BaseException:
        allocation.undo()
        raise
    return item


def deletion_complete(obj: dict[str, Any], plural: str, group: str) -> bool:
    """Nothing holds an object any more that was asked to go."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if meta.get("deletionGracePeriodSeconds"):
        return False
    if plural == "namespaces" and not group:
        return not (obj.get("spec") or {}).get("finalizers")
    return True


def _same(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """No difference but, at most, the times of managed fields."""
    if new == old:
        return True
    if new.keys() != old.keys():
        return False
    for name in new:
        if name != "metadata" and new[name] != old[name]:
            return False
    mine = {k: v for k, v in new["metadata"].items() if k != "managedFields"}
    theirs = {k: v for k, v in old["metadata"].items() if k != "managedFields"}
    if mine != theirs:
        return False

    def timeless(entries: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        return [{k: v for k, v in entry.items() if k != "time"} for entry in entries or ()]

    return timeless(new["metadata"].get("managedFields")) == timeless(old["metadata"].get("managedFields"))


def _conform_again(call: Call, obj: dict[str, Any]) -> None:
    """A webhook's patch may have left out what defaults fill in."""
    call.resource.info.schema.decode(obj)
    default(call.resource.info, obj)


def options_object(kind: str, call: Call, options: WriteOptions) -> dict[str, Any]:
    """The options as admission webhooks see them."""
    value: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if options.dry_run:
        value["dryRun"] = ["All"]
    if options.field_manager:
        value["fieldManager"] = options.field_manager
    if call.request.option("fieldValidation") if call.request.raw_query else "":
        value["fieldValidation"] = options.field_validation
    if options.force is not None:
        value["force"] = options.force
    return value
