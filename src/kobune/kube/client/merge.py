"""JSON merge patch (RFC 7386) and its inverse. Pure."""

from typing import Any, cast

__all__ = ["merge_diff", "merge_patch"]


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` merged in: null removes a member, anything but an object replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def merge_diff(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The smallest merge patch that turns `old` into `new`; empty when they are equal.

    `new` must hold no null members: a merge patch cannot express them.
    """
    patch: dict[str, Any] = {}
    for name, value in new.items():
        if name not in old:
            patch[name] = value
        elif isinstance(value, dict) and isinstance(old[name], dict):
            inner = merge_diff(cast(dict[str, Any], old[name]), cast(dict[str, Any], value))
            if inner:
                patch[name] = inner
        elif value != old[name]:
            patch[name] = value
    for name in old:
        if name not in new:
            patch[name] = None
    return patch
