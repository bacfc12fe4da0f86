"""JSON patch (RFC 6902) as the real server's library applies it.

Own code rather than a library: the answers depend on that implementation's leniency (replace creates a missing map
key, a negative array index counts from the end) and on its limits.
"""

import copy
from typing import Any

from kobune.embedded.apiserver.patch.errors import PatchError

__all__ = ["json_patch"]

MAX_OPERATIONS = 10_000


class _Misfit(Exception):
    """An operation does not fit the document."""


def json_patch(doc: dict[str, Any], operations: Any) -> dict[str, Any]:
    """The document after all operations; `doc` is not changed.

    Raises PatchError: 400 when `operations` is no list of objects, 413 when there are too many, 422 when one of them
    does not fit.
    """
    if not isinstance(operations, list) or not all(isinstance(op, dict) for op in operations):
        raise PatchError.malformed(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        )
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}",
        )
    result: Any = copy.deepcopy(doc)
    try:
        for operation in operations:
            result = _apply(result, operation)
    except _Misfit as error:
        raise PatchError.rejected() from error
    if not isinstance(result, dict):
        raise PatchError.rejected()
    return result


def _apply(doc: Any, operation: dict[str, Any]) -> Any:
    name = operation.get("op")
    path = _pointer(operation.get("path"))
    if name in ("add", "replace", "test") and "value" not in operation and name != "test":
        raise _Misfit("no value")
    if name == "test":
        if _get(doc, path, lenient=True) != operation.get("value"):
            raise _Misfit("test failed")
    elif name == "add":
        return _add(doc, path, copy.deepcopy(operation["value"]))
    elif name == "replace":
        return _replace(doc, path, copy.deepcopy(operation["value"]))
    elif name == "remove":
        _remove(doc, path)
    elif name == "move":
        source = _pointer(operation.get("from"))
        value = _get(doc, source)
        _remove(doc, source)
        return _add(doc, path, value)
    elif name == "copy":
        return _add(doc, path, copy.deepcopy(_get(doc, _pointer(operation.get("from")))))
    else:
        raise _Misfit(f"unexpected kind {name!r}")
    return doc


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _Misfit("bad pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(container: list[Any], token: str, *, end: int) -> int:
    try:
        index = int(token)
    except ValueError as error:
        raise _Misfit(f"no index: {token}") from error
    if index < 0:
        index += end
    if not 0 <= index < end:
        raise _Misfit(f"index out of range: {token}")
    return index


def _step(container: Any, token: str) -> Any:
    if isinstance(container, dict):
        if token not in container:
            raise _Misfit(f"missing: {token}")
        return container[token]
    if isinstance(container, list):
        return container[_index(container, token, end=len(container))]
    raise _Misfit(f"no container at {token}")


def _parent(doc: Any, path: list[str]) -> Any:
    for token in path[:-1]:
        doc = _step(doc, token)
    if not isinstance(doc, dict | list):
        raise _Misfit("no container")
    return doc


def _get(doc: Any, path: list[str], *, lenient: bool = False) -> Any:
    if not path:
        return doc
    parent = _parent(doc, path)
    if lenient and isinstance(parent, dict):
        return parent.get(path[-1])
    return _step(parent, path[-1])


def _add(doc: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _parent(doc, path)
    if isinstance(parent, dict):
        parent[path[-1]] = value
    elif path[-1] == "-":
        parent.append(value)
    else:
        parent.insert(_index(parent, path[-1], end=len(parent) + 1), value)
    return doc


def _replace(doc: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _parent(doc, path)
    if isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        parent[_index(parent, path[-1], end=len(parent))] = value
    return doc


def _remove(doc: Any, path: list[str]) -> None:
    if not path:
        raise _Misfit("can't remove the document")
    parent = _parent(doc, path)
    if isinstance(parent, dict):
        if path[-1] not in parent:
            raise _Misfit("unable to remove nonexistent key")
        del parent[path[-1]]
    else:
        del parent[_index(parent, path[-1], end=len(parent))]
