"""Values seen through their shape: which fields they have, how two differ, merging and removing.

Owns: the walks over (shape, value). Source: the behaviour of structured merge as documented for server-side apply.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kobune.embedded.apiserver.apply.fields import FieldSet, Path, format_path, key_element, value_element
from kobune.embedded.apiserver.schema.shape import ANY, Shape

__all__ = ["MISSING", "Comparison", "compare", "field_set", "merge", "problems", "remove", "with_named_ancestors"]

MISSING: Any = object()
_DEDUCED_MAP = Shape("map", preserve_unknown=True)
_ATOMIC_LIST = Shape("list", atomic=True)
_SCALAR = Shape("scalar")


def _deduce(shape: Shape, value: Any) -> Shape:
    """The shape of a schemaless value: maps are granular, lists atomic."""
    if shape.kind != "any" or shape.atomic:
        return shape
    if isinstance(value, dict):
        return _DEDUCED_MAP
    return _ATOMIC_LIST if isinstance(value, list) else _SCALAR


def _child(shape: Shape, name: str) -> Shape:
    return shape.field(name) or ANY


def _declared(shape: Shape, name: str) -> bool:
    return shape.kind == "object" and name in shape.fields


def _element(shape: Shape, entry: Any) -> str:
    if shape.list_type == "set" or not isinstance(entry, dict):
        return value_element(entry)
    return key_element(
        {k: entry.get(k, shape.defaults.get(k)) for k in shape.keys if k in entry or k in shape.defaults}
    )


def _is_container(shape: Shape, value: Any) -> bool:
    return (shape.kind in ("object", "map") and isinstance(value, dict)) or (
        shape.kind == "list" and isinstance(value, list)
    )


def field_set(shape: Shape, value: dict[str, Any]) -> FieldSet:
    """The fields a value specifies, as an applier owns them."""
    result: FieldSet = set()
    _fields(shape, value, (), result)
    return result


def _fields(shape: Shape, value: Any, path: Path, result: FieldSet) -> None:
    shape = _deduce(shape, value)
    if shape.atomic or not _is_container(shape, value):
        if path and value is not None:
            result.add(path)
        return
    if isinstance(value, dict):
        for name, entry in value.items():
            here = (*path, "f:" + name)
            _fields(_child(shape, name), entry, here, result)
            if entry is None or entry == {} or not _declared(shape, name):
                result.add(here)
        return
    for entry in value:
        here = (*path, _element(shape, entry))
        _fields(shape.items, entry, here, result)
        result.add(here)


@dataclass(slots=True)
class Comparison:
    """How a value differs from an older one."""

    added: FieldSet = field(default_factory=set)
    modified: FieldSet = field(default_factory=set)
    removed: FieldSet = field(default_factory=set)


def compare(shape: Shape, old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    """What was added, modified and removed, containers included."""
    result = Comparison()
    _compare(shape, old, new, (), result)
    return result


def _compare(shape: Shape, old: Any, new: Any, path: Path, result: Comparison) -> None:
    if old is new:
        return
    if path and (old is MISSING or new is MISSING):
        _whole(shape, new if old is MISSING else old, path, result.added if old is MISSING else result.removed)
        return
    shape = _deduce(shape, new)
    if shape.atomic or shape.kind == "scalar" or (not old and not new):
        _leaf(old, new, path, result)
        return
    if shape.kind in ("object", "map"):
        before = old if isinstance(old, dict) else {}
        after = new if isinstance(new, dict) else {}
        if not before and not after:
            _leaf(old, new, path, result)
            return
        for name, entry in after.items():
            earlier = before.get(name, MISSING)
            if earlier is not entry:
                _compare(_child(shape, name), earlier, entry, (*path, "f:" + name), result)
        for name, entry in before.items():
            if name not in after:
                _compare(_child(shape, name), entry, MISSING, (*path, "f:" + name), result)
    elif shape.kind == "list":
        _compare_lists(shape, old, new, path, result)


def _whole(shape: Shape, value: Any, path: Path, result: FieldSet) -> None:
    """Every field of a value that came or went as a whole, itself included."""
    result.add(path)
    if not value:
        return
    shape = _deduce(shape, value)
    if shape.atomic or not _is_container(shape, value):
        return
    if isinstance(value, dict):
        if shape.kind == "map" and shape.items.kind == "scalar":
            result.update((*path, "f:" + name) for name in value)
            return
        for name, entry in value.items():
            _whole(_child(shape, name), entry, (*path, "f:" + name), result)
        return
    for entry in value:
        _whole(shape.items, entry, (*path, _element(shape, entry)), result)


def _compare_lists(shape: Shape, old: Any, new: Any, path: Path, result: Comparison) -> None:
    before = {_element(shape, e): e for e in old} if isinstance(old, list) else {}
    after = {_element(shape, e): e for e in new} if isinstance(new, list) else {}
    for element, entry in after.items():
        _compare(shape.items, before.get(element, MISSING), entry, (*path, element), result)
    for element, entry in before.items():
        if element not in after:
            _compare(shape.items, entry, MISSING, (*path, element), result)


def _leaf(old: Any, new: Any, path: Path, result: Comparison) -> None:
    if path and (old != new or type(old) is not type(new)):
        result.modified.add(path)


def merge(shape: Shape, live: Any, config: Any) -> Any:
    """The live value with the configuration laid over it. Inputs are not changed; parts may be shared."""
    shape = _deduce(shape, config)
    if shape.atomic or not _is_container(shape, config) or not _is_container(shape, live):
        if shape.kind == "map" and isinstance(config, dict) and not shape.atomic:
            return dict(config)
        return config
    if isinstance(config, dict):
        result = dict(live)
        for name, entry in config.items():
            result[name] = merge(_child(shape, name), live[name], entry) if name in live else entry
        return result
    return _merge_lists(shape, live, config)


def _merge_lists(shape: Shape, live: list[Any], config: list[Any]) -> list[Any]:
    """Shared entries in the configuration's order, entries of one side where they stand."""
    mine = {_element(shape, e): e for e in config}
    theirs = [(_element(shape, e), e) for e in live]
    known = {element for element, _ in theirs}
    result: list[Any] = []
    done: set[str] = set()
    i = 0
    for element, entry in mine.items():
        while i < len(theirs) and (theirs[i][0] not in mine or theirs[i][0] in done):
            if theirs[i][0] not in mine:
                result.append(theirs[i][1])
            i += 1
        if element in known:
            earlier = next(e for k, e in theirs if k == element)
            result.append(merge(shape.items, earlier, entry))
        else:
            result.append(entry)
        done.add(element)
    result.extend(entry for element, entry in theirs[i:] if element not in mine)
    return result


def with_named_ancestors(shape: Shape, paths: FieldSet) -> FieldSet:
    """The set with every declared field on the way to its members."""
    result = set(paths)
    for path in paths:
        node = shape
        for i, element in enumerate(path[:-1]):
            if element.startswith("f:"):
                name = element[2:]
                if _declared(node, name):
                    result.add(path[: i + 1])
                node = _child(node, name)
            else:
                node = node.items
    return result


def remove(shape: Shape, value: dict[str, Any], paths: FieldSet) -> dict[str, Any]:
    """The value without these fields and entries."""
    prefixes = {path[:i] for path in paths for i in range(len(path))}
    result = _remove(shape, value, (), paths, prefixes)
    return result if isinstance(result, dict) else {}


def _remove(shape: Shape, value: Any, path: Path, paths: FieldSet, prefixes: set[Path]) -> Any:
    shape = _deduce(shape, value)
    if shape.atomic or not _is_container(shape, value) or path not in prefixes:
        return value
    if isinstance(value, dict):
        result = {}
        for name, entry in value.items():
            here = (*path, "f:" + name)
            if here in paths:
                continue
            # An emptied container stays as null: somebody may own the field itself.
            result[name] = _remove(_child(shape, name), entry, here, paths, prefixes)
        return result or None
    entries = []
    for entry in value:
        here = (*path, _element(shape, entry))
        if here not in paths:
            entries.append(_remove(shape.items, entry, here, paths, prefixes))
    return entries or None


def problems(shape: Shape, value: dict[str, Any]) -> list[str]:
    """Why a value does not have the shape: undeclared fields, wrong kinds, entries with equal keys."""
    return list(_problems(shape, value, ()))


def _problems(shape: Shape, value: Any, path: Path) -> Iterator[str]:
    at = format_path(path)
    if value is None:
        return
    if shape.kind in ("object", "map"):
        if not isinstance(value, dict):
            yield f"{at}: expected map, got {_go(value)}"
            return
        for name, entry in value.items():
            child = shape.field(name)
            if child is None:
                yield f"{at}.{name}: field not declared in schema"
            else:
                yield from _problems(child, entry, (*path, "f:" + name))
    elif shape.kind == "list":
        if not isinstance(value, list):
            yield f"{at}: expected list, got {_go(value)}"
            return
        yield from _list_problems(shape, value, path, at)
    elif shape.kind == "scalar":
        yield from _scalar_problems(shape, value, at)


def _list_problems(shape: Shape, value: list[Any], path: Path, at: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, entry in enumerate(value):
        here: Path = (*path, f"i:{i}")
        if shape.list_type == "map" and not shape.atomic:
            if not isinstance(entry, dict):
                yield f"{at}: element {i}: associative list may only have maps"
                continue
            lacking = [k for k in shape.keys if k not in entry and k not in shape.defaults]
            if lacking:
                yield (
                    f"{at}: element {i}: associative list with keys has an element that omits key field"
                    f' "{lacking[0]}" (and doesn\'t have default value)'
                )
                continue
        if not shape.atomic and shape.list_type in ("map", "set"):
            element = _element(shape, entry)
            here = (*path, element)
            if element in seen:
                yield f"{at}: duplicate entries for key {format_path((element,))}"
            seen.add(element)
        yield from _problems(shape.items, entry, here)


def _scalar_problems(shape: Shape, value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict | list):
        wanted = {"string": "string", "numeric": "numeric (int or float)", "boolean": "boolean"}.get(
            shape.scalar, "scalar"
        )
        yield f"{at}: expected {wanted}, got {_go(value)}"
    elif shape.scalar == "string" and not isinstance(value, str):
        yield f"{at}: expected string, got {_go(value)}"
    elif shape.scalar == "numeric" and isinstance(value, str | bool):
        yield f"{at}: expected numeric (int or float), got {_go(value)}"
    elif shape.scalar == "boolean" and not isinstance(value, bool):
        yield f"{at}: expected boolean, got {_go(value)}"


def _go(value: Any) -> str:
    kinds = {bool: "boolean", str: "string", int: "int", float: "float"}
    return kinds.get(type(value), "&{" + str(value) + "}")
