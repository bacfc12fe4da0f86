"""delete and deletecollection: preconditions, finalizers, grace periods, propagation."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kobune.base.clock import format_time
from kobune.embedded.apiserver.http.message import Peer, Request, Response
from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.registry.registry import Resource
from kobune.embedded.apiserver.rest import respond
from kobune.embedded.apiserver.rest.body import decode_options
from kobune.embedded.apiserver.rest.call import Call, Services
from kobune.embedded.apiserver.rest.convert import from_storage, to_storage
from kobune.embedded.apiserver.rest.options import delete_options_errors, list_options
from kobune.embedded.apiserver.rest.read import select
from kobune.embedded.apiserver.rest.route import RequestInfo
from kobune.embedded.apiserver.rest.write import deletion_complete
from kobune.embedded.apiserver.status import StatusError, conflict, invalid, modified, not_found, success
from kobune.embedded.apiserver.strategy import strategy_for
from kobune.embedded.apiserver.user import User
from kobune.embedded.store import RevisionConflict

__all__ = ["delete", "delete_collection", "delete_object"]

_RETRIES = 8


async def delete(call: Call) -> Response:
    """DELETE of one object."""
    options = _options(call)
    obj, item, gone = await delete_object(call, call.info.name, options)
    info = call.resource.info
    if gone and not strategy_for(info).returns_deleted:
        details: dict[str, Any] = {"name": call.info.name}
        if info.group:
            details["group"] = info.group
        details |= {"kind": info.plural, "uid": obj["metadata"].get("uid", "")}
        return respond.document(call.request, 200, success(details), call.warnings)
    orphan = options.get("orphanDependents")
    status = 202 if not gone and orphan is False else 200
    if item is not None:
        return await respond.item(call, status, item)
    return await respond.obj(call, status, obj)


async def delete_collection(call: Call) -> Response:
    """DELETE of everything that a selector matches; gives the list of what was there."""
    options = _options(call)
    found, metadata = select(call, list_options(call.request, call.resource.info, watch=False))
    answered = []
    for item in found:
        call.info.name = item.name
        namespace = call.info.namespace
        call.info.namespace = item.namespace
        try:
            await delete_object(call, item.name, options)
        except StatusError as error:
            if error.code != 404:
                raise
        finally:
            call.info.namespace = namespace
        answered.append(item)
    return await respond.items(call, answered, metadata)


def _options(call: Call) -> dict[str, Any]:
    options = decode_options(call.request, "DeleteOptions")
    query = call.request
    if query.raw_query:
        if grace := query.option("gracePeriodSeconds"):
            options.setdefault("gracePeriodSeconds", int(grace) if grace.lstrip("-").isdigit() else 0)
        if policy := query.option("propagationPolicy"):
            options.setdefault("propagationPolicy", policy)
        if orphan := query.option("orphanDependents"):
            options.setdefault("orphanDependents", orphan.lower() in ("1", "true"))
        if query.query.get("dryRun"):
            options.setdefault("dryRun", query.query["dryRun"])
    errors = delete_options_errors(options)
    if errors:
        raise invalid("meta.k8s.io", "DeleteOptions", "", errors)
    call.dry_run = bool(options.get("dryRun"))
    call.options = {
        "kind": "DeleteOptions",
        "apiVersion": "meta.k8s.io/v1",
        **{k: v for k, v in options.items() if k not in ("kind", "apiVersion")},
    }
    return options


async def delete_collected(services: Services, resource: Resource, item: Item) -> None:
    """Delete an object on the server's own behalf. Raises StatusError, but not when it is gone already."""
    request = Request("DELETE", "/", [], b"", Peer())
    info = RequestInfo(
        True,
        "delete",
        "/",
        resource.info.group,
        resource.info.version,
        item.namespace,
        resource.info.plural,
        "",
        item.name,
    )
    user = User("system:apiserver", ("system:masters",))
    call = Call(
        services, request, user, info, resource, options={"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    )
    try:
        await delete_object(call, item.name, {})
    except StatusError as error:
        if error.code != 404:
            raise


async def delete_object(call: Call, name: str, options: dict[str, Any]) -> tuple[dict[str, Any], Item | None, bool]:
    """(last state, stored item if it stays or was stored, whether it is gone). Raises StatusError."""
    info, collection = call.resource.info, call.resource.collection
    namespace = call.info.namespace if info.namespaced else ""
    for _ in range(_RETRIES):
        found = collection.get(namespace, name)
        if found is None:
            raise not_found(info.group, info.plural, name)
        try:
            return await _delete_once(call, found, options)
        except RevisionConflict:
            await call.services.storage.log.settle()
    raise modified(info.group, info.plural, name)


async def _delete_once(call: Call, found: Item, options: dict[str, Any]) -> tuple[dict[str, Any], Item | None, bool]:
    info, storage, collection = call.resource.info, call.services.storage, call.resource.collection
    obj = await from_storage(call.resource, found)
    metadata = obj["metadata"]
    _check_preconditions(call, metadata, options)
    await call.services.admission.mutate(call, "DELETE", None, obj)
    await call.services.admission.validate(call, "DELETE", None, obj)
    strategy = strategy_for(info)
    finalizers = _finalizers(metadata, options, strategy.default_propagation(info))
    if not metadata.get("deletionTimestamp"):
        finalizers = strategy.hold_deletion(finalizers)
    asked = options.get("gracePeriodSeconds")
    grace = strategy.grace_period_s(obj, asked)
    held = bool(finalizers) or (
        info.plural == "namespaces" and not info.group and bool((obj.get("spec") or {}).get("finalizers"))
    )
    if metadata.get("deletionTimestamp"):
        current = metadata.get("deletionGracePeriodSeconds", 0) or 0
        shorter = grace < current
        changed = finalizers != (metadata.get("finalizers") or [])
        if not shorter and not changed:
            return obj, found, False
        if shorter:
            metadata["deletionGracePeriodSeconds"] = grace
            started = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=current)
            metadata["deletionTimestamp"] = format_time(started + timedelta(seconds=grace))
    elif held or grace or strategy.graceful:
        metadata["deletionTimestamp"] = format_time(datetime.now(UTC) + timedelta(seconds=grace))
        if info.plural != "namespaces" or info.group:
            metadata["deletionGracePeriodSeconds"] = grace
        if metadata.get("generation"):
            metadata["generation"] += 1
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if info.plural == "namespaces" and not info.group and held:
        obj.setdefault("status", {})["phase"] = "Terminating"
    stays = held or (grace > 0 and not deletion_complete(obj, info.plural, info.group))
    if call.dry_run:
        return obj, None, not stays
    stored = await to_storage(call.resource, obj)
    if stays:
        item = await storage.put(collection, stored, found.revision)
        return obj, item, False
    # Watchers get the state that was stored last, with the revision of its end.
    await storage.remove(collection, found.object(), found.revision)
    call.services.parts["allocators"].release(call.resource, obj)
    return obj, None, True


def _check_preconditions(call: Call, metadata: dict[str, Any], options: dict[str, Any]) -> None:
    preconditions = options.get("preconditions") or {}
    info, name = call.resource.info, metadata["name"]
    uid, version = preconditions.get("uid"), preconditions.get("resourceVersion")
    if uid is not None and uid != metadata.get("uid"):
        raise conflict(
            info.group,
            info.kind,
            name,
            f"the UID in the precondition ({uid}) does not match the UID in record ({metadata.get('uid', '')})."
            " The object might have been deleted and then recreated",
        )
    if version is not None and version != metadata.get("resourceVersion"):
        raise conflict(
            info.group,
            info.kind,
            name,
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record"
            f" ({metadata.get('resourceVersion', '')}). The object might have been modified",
        )


def _finalizers(metadata: dict[str, Any], options: dict[str, Any], default: str) -> list[str]:
    finalizers = list(metadata.get("finalizers") or ())
    policy = options.get("propagationPolicy")
    if policy is None and options.get("orphanDependents") is not None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None:
        if "orphan" in finalizers or "foregroundDeletion" in finalizers:
            return finalizers
        policy = default
    without = [name for name in finalizers if name not in ("orphan", "foregroundDeletion")]
    if policy == "Orphan":
        return [*without, "orphan"]
    if policy == "Foreground":
        return [*without, "foregroundDeletion"]
    return without
