"""JSON merge patch (RFC 7386)."""

from typing import Any

from kobune.embedded.apiserver.patch.errors import PatchError

__all__ = ["merge_patch"]


def merge_patch(doc: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The document with the patch merged in; neither is changed, unchanged parts are shared with `doc`.

    Raises PatchError when the patch is not an object.
    """
    if not isinstance(patch, dict):
        raise PatchError.malformed(
            f"error decoding patch: json: cannot unmarshal {_name(patch)} into Go value of type "
            "map[string]interface {}"
        )
    return _merge(doc, patch)


def _merge(doc: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    result = dict(doc)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            old = result.get(key)
            result[key] = _merge(old if isinstance(old, dict) else {}, value)
        else:
            result[key] = value
    return result


def _name(value: object) -> str:
    if isinstance(value, list):
        return "array"
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "number"
