"""Sets of field paths, and their two notations: FieldsV1 trees and the text in conflicts.

A path is a tuple of elements as FieldsV1 writes them: `f:NAME`, `k:{JSON of the keys}`, `v:JSON of the value`.
Set algebra is Python's own. Source: the documentation of FieldsV1.
"""

import json
from typing import Any

__all__ = ["FieldSet", "Path", "decode_fields", "encode_fields", "format_path", "key_element", "value_element"]

Path = tuple[str, ...]
FieldSet = set[Path]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def key_element(keys: dict[str, Any]) -> str:
    """The element of a list-map's entry."""
    return "k:" + _json(keys)


def value_element(value: Any) -> str:
    """The element of a set's entry."""
    return "v:" + _json(value)


def encode_fields(paths: FieldSet) -> dict[str, Any]:
    """The FieldsV1 tree: `.` marks a member that has children."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _tidy(tree)


def _tidy(node: dict[str, Any]) -> dict[str, Any]:
    if len(node) == 1 and "." in node:
        return {}
    return {key: _tidy(child) if key != "." else {} for key, child in node.items()}


def decode_fields(tree: Any) -> FieldSet:
    """The set of a FieldsV1 tree. Raises ValueError when it is none."""
    result: FieldSet = set()
    _collect(tree, (), result)
    return result


def _collect(tree: Any, path: Path, result: FieldSet) -> None:
    if not isinstance(tree, dict):
        raise ValueError(f"expected an object at {'.'.join(path) or 'the root'}")
    for key, child in tree.items():
        if key == ".":
            result.add(path)
        elif key[:2] in ("f:", "k:", "v:", "i:"):
            if key[:2] in ("k:", "v:"):
                key = key[:2] + _json(json.loads(key[2:]))
            here = (*path, key)
            if child:
                _collect(child, here, result)
            else:
                result.add(here)
        else:
            raise ValueError(f"unknown path element {key!r}")


def format_path(path: Path) -> str:
    """A path as conflicts name it: .spec.containers[name="a"].image"""
    parts = []
    for element in path:
        kind, text = element[:2], element[2:]
        if kind == "f:":
            parts.append("." + text)
        elif kind == "k:":
            keys = json.loads(text)
            parts.append("[" + ",".join(f"{k}={_json(keys[k])}" for k in sorted(keys)) + "]")
        elif kind == "v:":
            parts.append(f"[={text}]")
        else:
            parts.append(f"[{text}]")
    return "".join(parts)
