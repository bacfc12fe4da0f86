"""Strategic merge patch: a merge patch that knows the merge keys of lists.

Owns: merging with its directives ($patch, $retainKeys, $deleteFromPrimitiveList, $setElementOrder) and element order.
Source: the Kubernetes documentation of strategic merge patch; x-kubernetes-patch-strategy and -patch-merge-key.
"""

from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.patch.errors import PatchError
from kobune.embedded.apiserver.schema.shape import ANY, Shape

__all__ = ["strategic_merge_patch"]

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge_patch(doc: dict[str, Any], patch: Any, shape: Shape) -> dict[str, Any]:
    """The document with the patch merged in by the rules of `shape`. Inputs are not changed.

    Raises PatchError: 400 when the patch is no object or $retainKeys no list, 500 for a wrong directive or a missing
    merge key.
    """
    if not isinstance(patch, dict):
        raise PatchError.malformed(
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    return _merge_map(doc, patch, shape)


def _internal(message: str) -> PatchError:
    return PatchError(500, "", message)


def _go(value: Any) -> str:
    """A value as Go's %v prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{_go(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_go(v) for v in value) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _merge_map(original: dict[str, Any], patch: dict[str, Any], shape: Shape) -> dict[str, Any]:
    directive = patch.get(_DIRECTIVE)
    if directive is not None:
        if directive == "replace":
            return {k: v for k, v in patch.items() if k != _DIRECTIVE}
        if directive == "delete":
            return {}
        if directive != "merge":
            raise _internal(f"unknown patch type: {directive} in map: {_go(patch)}")
    result = dict(original)
    retain = patch.get(_RETAIN)
    if retain is not None:
        if not isinstance(retain, list):
            raise PatchError.malformed("invalid patch format of retainKeys list")
        result = {k: v for k, v in result.items() if k in retain}
    for key, value in patch.items():
        if key in (_DIRECTIVE, _RETAIN) or key.startswith(_ORDER):
            continue
        if key.startswith(_DELETE):
            name = key[len(_DELETE) :]
            if isinstance(result.get(name), list) and isinstance(value, list):
                result[name] = [entry for entry in result[name] if entry not in value]
            continue
        if value is None:
            result.pop(key, None)
            continue
        result[key] = _merge_value(result.get(key), value, shape.field(key) or ANY)
    _enforce_orders(result, original, patch, shape)
    return {k: v for k, v in result.items() if not (isinstance(k, str) and k.startswith(_DELETE))}


def _merge_value(old: Any, value: Any, shape: Shape) -> Any:
    if isinstance(value, dict):
        if "replace" in shape.patch_strategies:
            return _without_nulls(value)
        return _merge_map(old if isinstance(old, dict) else {}, value, shape)
    if isinstance(value, list):
        if "merge" not in shape.patch_strategies:
            return value
        return _merge_list(old if isinstance(old, list) else [], value, shape)
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None and not k.startswith("$")}
    return value


def _key_of(entry: Any, key: str) -> Any:
    if not isinstance(entry, dict):
        raise _internal("delete patch type with no merge key defined")
    if key not in entry:
        raise _internal(f"map: {_go(entry)} does not contain declared merge key: {key}")
    return entry[key]


def _merge_list(original: list[Any], patch: list[Any], shape: Shape) -> list[Any]:
    if not patch and not original:
        return []
    if not isinstance((original or patch)[0], dict):
        merged = list(original)
        merged.extend(entry for entry in patch if entry not in merged)
        return _ordered(merged, patch, original, lambda entry: entry)
    key = shape.patch_key
    if not key:
        raise _internal("cannot merge lists without merge key for " + _go(patch))
    base, plain, replaced = _directives(original, patch, key)
    if replaced:
        return plain
    result = list(base)
    for entry in plain:
        value = _key_of(entry, key)
        place = next((i for i, old in enumerate(result) if _key_of(old, key) == value), None)
        if place is None:
            result.append(_merge_map({}, entry, shape.items))
        else:
            result[place] = _merge_map(result[place], entry, shape.items)
    return _ordered(result, plain, base, lambda entry: _key_of(entry, key))


def _directives(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any], bool]:
    """Carry out delete and replace entries: (remaining original, plain patch entries, whole list replaced)."""
    base, plain, replaced = list(original), [], False
    for entry in patch:
        directive = entry.get(_DIRECTIVE) if isinstance(entry, dict) else None
        if directive is None:
            plain.append(entry)
        elif directive == "delete":
            value = _key_of(entry, key)
            base = [old for old in base if _key_of(old, key) != value]
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise _internal("merging lists is only supported for maps")
        else:
            raise _internal(f"unknown patch type: {directive} in map: {_go(entry)}")
    return base, plain, replaced


def _enforce_orders(result: dict[str, Any], original: dict[str, Any], patch: dict[str, Any], shape: Shape) -> None:
    for directive, order in patch.items():
        if not directive.startswith(_ORDER) or not isinstance(order, list):
            continue
        name = directive[len(_ORDER) :]
        field = shape.field(name) or ANY
        key = field.patch_key

        def identity(entry: Any, key: str = key) -> Any:
            return _key_of(entry, key) if key and isinstance(entry, dict) else entry

        _check_order(patch.get(name), order, identity)
        merged = result.get(name)
        if not isinstance(merged, list):
            continue
        server = original.get(name)
        result[name] = _ordered(merged, order, server if isinstance(server, list) else [], identity)


def _check_order(entries: Any, order: list[Any], identity: Callable[[Any], Any]) -> None:
    """What a patch brings has to stand in its order list, in that order."""
    if not isinstance(entries, list):
        return
    kept = [e for e in entries if not (isinstance(e, dict) and e.get(_DIRECTIVE) == "delete")]
    wanted = iter([identity(entry) for entry in order])
    if any(isinstance(e, dict) and _DIRECTIVE in e for e in kept) or all(identity(e) in wanted for e in kept):
        return
    raise _internal(f"The order in patch list:\n{_go(kept)}\n doesn't match {_ORDER[:-1]} list:\n{_go(order)}\n")


def _ordered(merged: list[Any], wanted: list[Any], server: list[Any], identity: Callable[[Any], Any]) -> list[Any]:
    """Entries named by the patch in the patch's order, the server's own among them by the server's order."""
    wanted_ids = [identity(e) for e in wanted]
    server_ids = [identity(e) for e in server]

    def place(ids: list[Any], entry: Any) -> int:
        value = identity(entry)
        return ids.index(value) if value in ids else len(ids)

    from_patch = sorted((e for e in merged if identity(e) in wanted_ids), key=lambda e: place(wanted_ids, e))
    own = sorted((e for e in merged if identity(e) not in wanted_ids), key=lambda e: place(server_ids, e))
    result = []
    while own and from_patch:
        left, right = identity(own[0]), identity(from_patch[0])
        both = left in server_ids and right in server_ids
        first = both and server_ids.index(left) < server_ids.index(right)
        result.append(own.pop(0) if first else from_patch.pop(0))
    return result + own + from_patch
