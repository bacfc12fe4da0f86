"""Patches for the in-memory API. Pure; small on purpose: the real rules live in the API server."""

import copy
from typing import Any

from kobune.kube.client.errors import Invalid
from kobune.kube.client.merge import merge_patch
from kobune.kube.client.types import Patch, PatchType

__all__ = ["apply_patch", "server_side_apply"]


def apply_patch(document: dict[str, Any], patch: Patch) -> dict[str, Any]:
    """A patched copy. A strategic merge patch is treated as a merge patch whose lists of maps merge by `name`."""
    match patch.type:
        case PatchType.MERGE:
            return dict(merge_patch(copy.deepcopy(document), copy.deepcopy(patch.body)))
        case PatchType.STRATEGIC:
            return dict(_merge_keyed(copy.deepcopy(document), copy.deepcopy(patch.body)))
        case PatchType.JSON:
            return apply_json_patch(document, patch.body)
        case PatchType.APPLY:
            raise Invalid(415, "UnsupportedMediaType", "use apply() for server-side apply")


def apply_json_patch(document: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """RFC 6902. Raises Invalid for a path that is not there and for a failed test."""
    result: Any = copy.deepcopy(document)
    for operation in operations:
        result = _operate(result, copy.deepcopy(operation))
    return dict(result)


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    name, path = operation["op"], _parts(operation["path"])
    match name:
        case "add":
            return _put(document, path, operation["value"], insert=True)
        case "replace":
            _read(document, path)
            return _put(document, path, operation["value"], insert=False)
        case "remove":
            _remove(document, path)
        case "test":
            # As the API server's library has it: a missing member equals null.
            parent = _read(document, path[:-1]) if path else None
            absent = isinstance(parent, dict) and path[-1] not in parent
            if (None if absent else _read(document, path)) != operation["value"]:
                raise Invalid(422, "Invalid", f"the server rejected our request: testing {operation['path']} failed")
        case "copy" | "move":
            source = _parts(operation["from"])
            value = copy.deepcopy(_read(document, source))
            if name == "move":
                _remove(document, source)
            return _put(document, path, value, insert=True)
        case _:
            raise Invalid(400, "BadRequest", f"{name!r} is no JSON patch operation")
    return document


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _step(value: Any, part: str) -> Any:
    try:
        return value[int(part)] if isinstance(value, list) else value[part]
    except (KeyError, IndexError, TypeError, ValueError):
        raise Invalid(422, "Invalid", f"the server rejected our request: no {part!r} in the document") from None


def _read(document: Any, path: list[str]) -> Any:
    for part in path:
        document = _step(document, part)
    return document


def _put(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent = _read(document, path[:-1])
    last = path[-1]
    if isinstance(parent, list):
        if last == "-":
            parent.append(value)
        elif insert:
            parent.insert(int(last), value)
        else:
            parent[int(last)] = value
    else:
        parent[last] = value
    return document


def _remove(document: Any, path: list[str]) -> None:
    _read(document, path)
    parent = _read(document, path[:-1])
    if isinstance(parent, list):
        del parent[int(path[-1])]
    else:
        del parent[path[-1]]


_LIST_KEYS = ("name", "type", "uid", "ip", "containerPort", "port")


def _list_key(*lists: Any) -> str | None:
    """The member that identifies the items of these lists of maps."""
    items = [item for one in lists if isinstance(one, list) for item in one]
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    return next((key for key in _LIST_KEYS if all(key in item for item in items)), None)


def _merge_keyed(target: Any, patch: Any) -> Any:
    """Merge where lists of maps merge by their key and null removes."""
    if isinstance(patch, list) and isinstance(target, list):
        key = _list_key(target, patch)
        if key is None:
            return patch
        merged = {item[key]: item for item in target}
        for item in patch:
            merged[item[key]] = _merge_keyed(merged.get(item[key]), item)
        return list(merged.values())
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge_keyed(result.get(name), value)
    return result


def server_side_apply(
    document: dict[str, Any], wanted: dict[str, Any], before: dict[str, Any] | None
) -> dict[str, Any]:
    """`document` with `wanted` merged in and what the manager applied `before` but no longer wants removed.

    Conflicts with other managers are not modelled: every apply forces.
    """
    result = copy.deepcopy(document)
    if before is not None:
        result = _drop_unwanted(result, before, wanted)
    return dict(_merge_keyed(result, copy.deepcopy(wanted)))


def _drop_unwanted(document: Any, before: Any, wanted: Any) -> Any:
    if isinstance(document, dict) and isinstance(before, dict):
        keep = wanted if isinstance(wanted, dict) else {}
        for name, old in before.items():
            if name not in keep:
                document.pop(name, None)
            elif name in document:
                document[name] = _drop_unwanted(document[name], old, keep[name])
    elif isinstance(document, list) and isinstance(before, list):
        key = _list_key(document, before, wanted)
        if key is not None and isinstance(wanted, list):
            gone = {item[key] for item in before} - {item[key] for item in wanted}
            return [item for item in document if item[key] not in gone]
    return document
